/* A stream of bytes divided into records: lines, or the records of a CSV file (RFC 4180). One
 * record and what was read ahead are in memory. */
#ifndef LKRUN_RECORD_H
#define LKRUN_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct archive;

enum record_format {
    RECORD_LINES, /* every line */
    RECORD_JSON,  /* every line that is not blank */
    RECORD_CSV,   /* fields, which may be quoted and then contain line ends; no empty lines */
};

#define RECORD_MOST ((size_t)64 << 20) /* bytes that a record may have */

struct record_reader {
    int fd; /* -1: closed */
    bool owns_fd;
    struct archive *packed; /* what unpacks the file; NULL: it is not compressed */
    enum record_format format;
    char delimiter; /* 0: to be found: a tab if the first record has tabs and no comma, else ',' */
    int64_t fields; /* how many every record has; 0: as many as the first one */
    int64_t line;   /* of the next byte, from 1 */
    int64_t started_line; /* on which the last record began */
    char *data;           /* data[begin] … data[end - 1] was read and belongs to no record yet */
    size_t begin, end, room;
    bool ended;       /* nothing more can be read */
    bool interrupted; /* a signal, which came while it waited, was the reason for RECORD_BAD */
    char problem[256];
};

enum record_result { RECORD_NONE, RECORD_FOUND, RECORD_BAD };

/* Opens the file of this path, "-" being standard input. False with `problem`. */
bool record_open(struct record_reader *reader, const char *path, enum record_format format,
                 char delimiter);
/* Makes a reader of the CSV records in a copy of these bytes. False with `problem`. */
bool record_over(struct record_reader *reader, const char *bytes, size_t length, char delimiter);
void record_close(struct record_reader *reader);
/* Gives the next record without its line end; its bytes are valid until the next call. RECORD_BAD:
 * `problem` says what was found on line `started_line`, and no more records can be read. */
enum record_result record_next(struct record_reader *reader, const char **bytes, size_t *length);

/* A field of a CSV record. */
struct field {
    const char *bytes; /* inside the quotes where there are any */
    size_t length;
    bool doubled; /* it has doubled quotes in it, each of which stands for one */
};
/* Gives the field at offset *at of a record, and moves *at to the next one; false after the last.
 */
bool record_field(const char *record, size_t length, char delimiter, size_t *at,
                  struct field *field);

#endif
