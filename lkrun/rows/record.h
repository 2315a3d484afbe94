/* A stream of bytes taken apart into records: lines, or the records of a CSV file (RFC 4180). In
 * memory there is one record and what was read ahead of it. */
#ifndef LKRUN_RECORD_H
#define LKRUN_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct archive;

enum record_format {
    RECORD_LINES, /* every line */
    RECORD_JSON,  /* every line that is not blank */
    RECORD_CSV,   /* fields, which may be quoted and then hold line ends; empty lines are none */
};

#define RECORD_MOST ((size_t)64 << 20) /* bytes of one record */

struct record_reader {
    int fd; /* -1: closed */
    bool owns_fd;
    struct archive *packed; /* NULL: the file is as it is */
    enum record_format format;
    char delimiter; /* of fields; 0: a tab where the first record has tabs and no comma, else ',' */
    int64_t fields; /* of every record; 0: as many as the first one has */
    int64_t line;   /* of the next byte, from 1 */
    int64_t started; /* line on which the last record began */
    char *data;      /* what was read and is no record yet is data[begin] … data[end - 1] */
    size_t begin, end, room;
    bool ended;       /* nothing more can be read */
    bool interrupted; /* a signal came while it waited: why there was RECORD_BAD */
    char problem[256];
};

enum record_result { RECORD_NONE, RECORD_FOUND, RECORD_BAD };

/* False with `problem` where it cannot be opened. "-": standard input. */
bool record_open(struct record_reader *reader, const char *path, enum record_format format,
                 char delimiter);
/* The same over a copy of bytes in memory, CSV. */
bool record_over(struct record_reader *reader, const char *bytes, size_t length, char delimiter);
void record_close(struct record_reader *reader);
/* The next record without its line end; its bytes stay until the next call. RECORD_BAD: `problem`
 * says what was found on line `started`, and nothing more can be had. */
enum record_result record_next(struct record_reader *reader, const char **bytes, size_t *length);

/* One field of a CSV record that record_next gave. */
struct field {
    const char *bytes; /* inside the quotes where there are any */
    size_t length;
    bool doubled; /* has quotes in it that stand for one each */
};
/* The field at *at, and *at moved to the next one; false after the last. */
bool record_field(const char *record, size_t length, char delimiter, size_t *at,
                  struct field *field);

#endif
