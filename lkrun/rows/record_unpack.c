#include "rows/record_unpack.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "files/archive_library.h"
#include "rows/record.h"

#define BLOCK ((size_t)64 << 10) /* bytes that are read at a time */

bool record_is_packed(const char *path)
{
    static const char *const extensions[] = {".gz", ".zst", ".bz2", ".xz", ".lz4"};
    const char *extension = strrchr(path, '.');
    for (size_t i = 0; extension && i < sizeof extensions / sizeof *extensions; i++)
        if (strcasecmp(extension, extensions[i]) == 0)
            return true;
    return false;
}

static bool fail(struct record_reader *reader, const struct archive_library *library)
{
    const char *why = library->error_string(reader->packed);
    snprintf(reader->problem, sizeof reader->problem, "it can't be unpacked: %s",
             why ? why : "it is damaged");
    return false;
}

bool record_unpack_open(struct record_reader *reader)
{
    const char *problem;
    const struct archive_library *library = archive_library(&problem);
    if (!library) {
        snprintf(reader->problem, sizeof reader->problem, "%.250s", problem);
        return false;
    }
    reader->packed = library->read_new();
    if (!reader->packed) {
        snprintf(reader->problem, sizeof reader->problem, "out of memory");
        return false;
    }
    int (*const supports[])(struct archive *) = {
        library->read_support_filter_gzip,  library->read_support_filter_zstd,
        library->read_support_filter_bzip2, library->read_support_filter_xz,
        library->read_support_filter_lz4,   library->read_support_format_raw,
        library->read_support_format_empty};
    for (size_t i = 0; i < sizeof supports / sizeof *supports; i++)
        if (supports[i](reader->packed) < ARCHIVE_WARN)
            return fail(reader, library);
    struct archive_entry *entry;
    if (library->read_open_fd(reader->packed, reader->fd, BLOCK) != ARCHIVE_OK)
        return fail(reader, library);
    int status = library->read_next_header(reader->packed, &entry);
    reader->ended = status == ARCHIVE_EOF;
    return status >= ARCHIVE_WARN || fail(reader, library);
}

ssize_t record_unpack(struct record_reader *reader, void *bytes, size_t room)
{
    const char *problem;
    const struct archive_library *library = archive_library(&problem);
    ssize_t got = library->read_data(reader->packed, bytes, room);
    if (got < 0)
        fail(reader, library);
    return got < 0 ? -1 : got;
}

void record_unpack_close(struct record_reader *reader)
{
    const char *problem;
    const struct archive_library *library = archive_library(&problem);
    if (reader->packed && library)
        library->read_free(reader->packed);
    reader->packed = NULL;
}
