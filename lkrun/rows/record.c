/* Invariant: between calls, data[begin] … data[end - 1] are the bytes that were read from the
 * file and belong to no record that was returned; they begin with a record, on line `line`.
 * While a record is looked for, places in it are offsets from `begin`, because reading more
 * moves the bytes. */
#include "rows/record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "machine/signals.h"
#include "rows/record_unpack.h"

#define READ_AHEAD ((size_t)256 << 10)
#define NOWHERE    SIZE_MAX

static bool fail(struct record_reader *reader, const char *problem)
{
    snprintf(reader->problem, sizeof reader->problem, "%s", problem);
    return false;
}

bool record_open(struct record_reader *reader, const char *path, enum record_format format,
                 char delimiter)
{
    struct stat status;
    *reader = (struct record_reader){.fd = -1, .format = format, .delimiter = delimiter, .line = 1};
    if (strcmp(path, "-") == 0) {
        reader->fd = STDIN_FILENO;
        return true;
    }
    reader->fd = open(path, O_RDONLY | O_CLOEXEC);
    reader->owns_fd = true;
    if (reader->fd < 0)
        return fail(reader, strerror(errno));
    if (fstat(reader->fd, &status) == 0 && S_ISDIR(status.st_mode))
        return fail(reader, "it is a directory; expected a file");
    posix_fadvise(reader->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    return !record_is_packed(path) || record_unpack_open(reader);
}

bool record_over(struct record_reader *reader, const char *bytes, size_t length, char delimiter)
{
    *reader = (struct record_reader){
        .fd = -1, .format = RECORD_CSV, .delimiter = delimiter, .line = 1, .ended = true};
    reader->data = malloc(length + 1);
    if (!reader->data)
        return fail(reader, "out of memory");
    memcpy(reader->data, bytes, length);
    reader->end = reader->room = length;
    return true;
}

void record_close(struct record_reader *reader)
{
    record_unpack_close(reader);
    if (reader->owns_fd && reader->fd >= 0)
        close(reader->fd);
    reader->fd = -1;
    free(reader->data);
    reader->data = NULL;
    reader->begin = reader->end = reader->room = 0;
    reader->ended = true;
}

/* Makes room for READ_AHEAD more bytes. */
static bool make_room(struct record_reader *reader)
{
    size_t used = reader->end - reader->begin;
    if (reader->begin > 0) {
        memmove(reader->data, reader->data + reader->begin, used);
        reader->begin = 0;
        reader->end = used;
    }
    if (reader->room - used >= READ_AHEAD)
        return true;
    size_t room = used + READ_AHEAD > 2 * reader->room ? used + READ_AHEAD : 2 * reader->room;
    char *data = realloc(reader->data, room);
    if (!data)
        return fail(reader, "out of memory for a record");
    reader->data = data;
    reader->room = room;
    return true;
}

/* Reads more bytes; false at the end, and after an error, of which `problem` tells. */
static bool fill(struct record_reader *reader)
{
    if (reader->ended || reader->fd < 0)
        return false;
    if (reader->end - reader->begin >= RECORD_MOST)
        return fail(reader, reader->format == RECORD_CSV
                                ? "a record of more than 64 MiB begins here; is there a quote "
                                  "that does not end?"
                                : "a line of more than 64 MiB begins here; expected at most that");
    if (!make_room(reader))
        return false;
    ssize_t got;
    if (reader->packed) {
        got = record_unpack(reader, reader->data + reader->end, reader->room - reader->end);
        reader->ended = got == 0;
        reader->end += got > 0 ? (size_t)got : 0;
        return got > 0;
    }
    do {
        got = read(reader->fd, reader->data + reader->end, reader->room - reader->end);
        if (got < 0 && errno == EINTR && signal_pending()) {
            reader->interrupted = true;
            return fail(reader, INTERRUPTED);
        }
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        return fail(reader, strerror(errno));
    reader->ended = got == 0;
    reader->end += (size_t)got;
    return got > 0;
}

static inline size_t available(const struct record_reader *reader)
{
    return reader->end - reader->begin;
}

/* The byte at this offset, -1 at the end of the file. */
static inline int byte_at(struct record_reader *reader, size_t at)
{
    while (at >= available(reader))
        if (!fill(reader))
            return -1;
    return (unsigned char)reader->data[reader->begin + at];
}

/* The offset of the next such byte, from this one on; NOWHERE where there is none. */
static size_t find(struct record_reader *reader, char byte, size_t from)
{
    for (;;) {
        size_t have = available(reader);
        if (from < have) {
            const char *start = reader->data + reader->begin;
            const char *found = memchr(start + from, byte, have - from);
            if (found)
                return (size_t)(found - start);
            from = have;
        }
        if (!fill(reader))
            return NOWHERE;
    }
}

static int64_t count(const char *bytes, size_t length, char byte)
{
    int64_t found = 0;
    for (size_t i = 0; i < length; i++)
        found += bytes[i] == byte;
    return found;
}

/* The offset of the quote that closes the field whose text begins at this one; or NOWHERE. */
static size_t closing_quote(struct record_reader *reader, size_t from)
{
    for (;;) {
        size_t quote = find(reader, '"', from);
        if (quote == NOWHERE || byte_at(reader, quote + 1) != '"')
            return quote;
        from = quote + 2;
    }
}

/* Whether a line, or the file, ends at this offset. *line_end becomes the length of the line end.
 */
static bool ends_line(struct record_reader *reader, size_t at, size_t *line_end)
{
    int byte = byte_at(reader, at);
    *line_end = byte < 0 ? 0 : byte == '\n' ? 1 : 2;
    return byte < 0 || byte == '\n' || (byte == '\r' && byte_at(reader, at + 1) == '\n');
}

/* Finds the end of a record with quotes, field by field. */
static bool scan_quoted(struct record_reader *reader, size_t *length, size_t *line_end,
                        int64_t *fields)
{
    for (size_t at = 0;; at++) {
        ++*fields;
        if (byte_at(reader, at) == '"') {
            size_t quote = closing_quote(reader, at + 1);
            if (quote == NOWHERE)
                return !reader->problem[0] &&
                       fail(reader, "a quoted field does not end; expected a closing \"");
            at = quote + 1;
            int byte = byte_at(reader, at);
            if (byte != reader->delimiter && !ends_line(reader, at, line_end))
                return fail(reader,
                            "text after a closing quote; expected a delimiter or the end of the "
                            "line");
        } else {
            for (int byte = byte_at(reader, at); byte >= 0 && byte != reader->delimiter; at++) {
                if (byte == '\n' || (byte == '\r' && ends_line(reader, at, line_end)))
                    break;
                byte = byte_at(reader, at + 1);
            }
        }
        if (byte_at(reader, at) != reader->delimiter) {
            ends_line(reader, at, line_end);
            *length = at;
            return !reader->problem[0];
        }
    }
}

static bool check_fields(struct record_reader *reader, int64_t fields)
{
    if (reader->fields == 0)
        reader->fields = fields;
    if (fields == reader->fields)
        return true;
    snprintf(reader->problem, sizeof reader->problem,
             "%lld fields; expected %lld, as in the "
             "header",
             (long long)fields, (long long)reader->fields);
    return false;
}

/* Finds the end of the line at `begin`: its length, and that of the line end. False where there is
 * no line any more. */
static bool scan_line(struct record_reader *reader, size_t *length, size_t *line_end)
{
    size_t newline = find(reader, '\n', 0);
    if (newline == NOWHERE) {
        *length = available(reader);
        *line_end = 0;
        return *length > 0 && !reader->problem[0];
    }
    bool carriage = newline > 0 && reader->data[reader->begin + newline - 1] == '\r';
    *length = newline - carriage;
    *line_end = 1 + carriage;
    return true;
}

static void choose_delimiter(struct record_reader *reader, const char *header, size_t length)
{
    if (!reader->delimiter)
        reader->delimiter =
            memchr(header, '\t', length) && !memchr(header, ',', length) ? '\t' : ',';
}

static bool is_blank(const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (!memchr(" \t\r", bytes[i], 3))
            return false;
    return true;
}

/* Whether the line at `begin` is one that is no record in this format: empty, or blank. */
static bool is_passed_over(const struct record_reader *reader, size_t length)
{
    return reader->format == RECORD_CSV    ? length == 0
           : reader->format == RECORD_JSON ? is_blank(reader->data + reader->begin, length)
                                           : false;
}

static void skip_byte_order_mark(struct record_reader *reader)
{
    if (byte_at(reader, 0) == 0xEF && byte_at(reader, 1) == 0xBB && byte_at(reader, 2) == 0xBF)
        reader->begin += 3;
}

enum record_result record_next(struct record_reader *reader, const char **bytes, size_t *length)
{
    size_t line_end;
    if (reader->problem[0])
        return RECORD_BAD;
    if (reader->line == 1)
        skip_byte_order_mark(reader);
    for (;;) {
        reader->started_line = reader->line;
        if (!scan_line(reader, length, &line_end))
            return reader->problem[0] ? RECORD_BAD : RECORD_NONE;
        if (!is_passed_over(reader, *length))
            break;
        reader->begin += *length + line_end;
        reader->line++;
    }
    const char *start = reader->data + reader->begin;
    int64_t lines = 1;
    if (reader->format == RECORD_CSV) {
        int64_t fields = 0;
        choose_delimiter(reader, start, *length);
        if (!memchr(start, '"', *length))
            fields = 1 + count(start, *length, reader->delimiter);
        else if (!scan_quoted(reader, length, &line_end, &fields))
            return RECORD_BAD;
        if (!check_fields(reader, fields))
            return RECORD_BAD;
        start = reader->data + reader->begin;
        if (memchr(start, '"', *length))
            lines += count(start, *length, '\n');
    }
    *bytes = start;
    reader->begin += *length + line_end;
    reader->line += lines;
    return RECORD_FOUND;
}

bool record_field(const char *record, size_t length, char delimiter, size_t *at,
                  struct field *field)
{
    if (*at > length)
        return false;
    const char *start = record + *at, *end = record + length, *stop;
    *field = (struct field){.bytes = start};
    if (start < end && *start == '"') {
        field->bytes = ++start;
        while ((stop = memchr(start, '"', (size_t)(end - start))) && stop + 1 < end &&
               stop[1] == '"') {
            field->doubled = true;
            start = stop + 2;
        }
        stop = stop ? stop : end;
        field->length = (size_t)(stop - field->bytes);
        *at = (size_t)(stop + 1 - record) + 1;
        return true;
    }
    stop = memchr(start, delimiter, (size_t)(end - start));
    stop = stop ? stop : end;
    field->length = (size_t)(stop - start);
    *at = (size_t)(stop - record) + 1;
    return true;
}
