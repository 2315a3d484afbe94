/* The entries of an archive, zip or tar, one after the other. Nothing is ever extracted, yet an
 * entry that does not belong into an archive of arrays (a link, a path outside) is refused by name.
 */
#ifndef LKRUN_ARCHIVE_READ_H
#define LKRUN_ARCHIVE_READ_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <lua.h>

#include "files/archive_library.h"
#include "files/source.h"

struct archive_reader {
    struct source file;
    struct source entry; /* the current entry: its bytes, and what is wrong with it */
    const struct archive_library *library;
    struct archive *handle;
    bool is_void;           /* a zip without any entry, which libarchive does not recognize */
    bool in_place;          /* only entries that lie in the mapped file as they are */
    int64_t size_limit;     /* bytes that all entries together may have */
    int64_t declared_bytes; /* sum of the sizes that the entries so far declare */
    int64_t entries_seen;
    char name[PATH_MAX]; /* of the current entry */
};

/* Pushes a reader that is closed when the function that called this ends. */
struct archive_reader *archive_reader_push(lua_State *L);
/* `size_limit`: bytes that its entries may have together; 0: what the file's size justifies. False
 * with a problem of `file`. */
bool archive_reader_open(struct archive_reader *reader, const char *path, bool copy,
                         int64_t size_limit);
/* Moves to the start of the archive, also for another reading. `in_place`: archive_reader_next
 * gives only entries that lie in the mapped file as they are, without checking their bytes; there
 * may be none. */
bool archive_reader_begin(struct archive_reader *reader, bool in_place);
/* 1: `entry` and `name` are those of the next entry; 0: there is no more; -1: a problem of `file`.
 */
int archive_reader_next(struct archive_reader *reader);
/* To be called when the last byte of an entry was read: false, with a problem of `entry`, where its
 * check sum is wrong or it has more bytes than it says. */
bool archive_entry_end(struct archive_reader *reader);

#endif
