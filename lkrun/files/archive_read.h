/* The entries of an archive, zip or tar, one after the other. Nothing is ever extracted; still,
 * what does not belong into an archive of arrays is refused by name. */
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
    struct source entry; /* the current one: its bytes, and problems of it */
    const struct archive_library *library;
    struct archive *handle;
    bool is_void;  /* a zip without any entry, which libarchive does not know */
    bool in_place; /* only entries that lie in the mapped file as they are */
    int64_t most;  /* bytes that all entries may have, by the file's size or the caller's leave */
    int64_t declared;    /* bytes of the entries so far, as they say */
    int64_t seen;        /* entries so far */
    char name[PATH_MAX]; /* of the current one */
};

/* Pushes a reader that is closed when the function that called this ends. */
struct archive_reader *archive_reader_push(lua_State *L);
/* `size_limit`: bytes that its entries may have together; 0: what the file's size justifies. False
 * with a problem of `file`. */
bool archive_reader_open(struct archive_reader *reader, const char *path, bool copy,
                         int64_t size_limit);
/* Before the first entry (again). `in_place`: the entries that lie in the mapped file, whose bytes
 * nothing has checked; where there can be none, archive_reader_next ends at once. */
bool archive_reader_begin(struct archive_reader *reader, bool in_place);
/* 1: `entry` and `name` are the next one's; 0: there is none; -1: a problem of `file`. */
int archive_reader_next(struct archive_reader *reader);
/* Behind the last byte of an entry: false, with a problem of `entry`, where it is damaged. */
bool archive_entry_end(struct archive_reader *reader);

#endif
