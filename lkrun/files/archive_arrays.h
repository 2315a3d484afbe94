/* The arrays of an archive, all of them or one. */
#ifndef LKRUN_ARCHIVE_ARRAYS_H
#define LKRUN_ARCHIVE_ARRAYS_H

#include <stdbool.h>
#include <stdint.h>
#include <lua.h>

struct archive_arrays {
    const char *path;
    const char *wanted; /* the name of the one array that is wanted, or NULL */
    bool copy;          /* memory of their own, which may be written */
    int64_t size_limit; /* as in archive_reader_open */
    const char *text;   /* an entry that is read as a string, [1] of the table; or NULL */
    int64_t text_most;  /* if it has no more bytes than this */
    bool nothing_else;  /* an entry that is neither is an error, and not passed over */
};

/* Pushes a table of the tensors by the names of their entries without .npy. Raises, as lk.load,
 * naming file and entry. To be called from a function that lk.load calls itself: what it opens is
 * closed when that ends. */
void archive_arrays_load(lua_State *L, const struct archive_arrays *job);

#endif
