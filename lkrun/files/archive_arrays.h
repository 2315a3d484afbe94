/* The arrays of an archive, all of them or one. */
#ifndef LKRUN_ARCHIVE_ARRAYS_H
#define LKRUN_ARCHIVE_ARRAYS_H

#include <stdbool.h>
#include <stdint.h>
#include <lua.h>

struct archive_arrays {
    const char *path;
    const char *wanted;     /* the name of the one array to load, or NULL: all */
    bool copy;              /* the arrays get memory of their own, which may be written */
    int64_t size_limit;     /* as in archive_reader_open */
    const char *text_entry; /* an entry that is read as a string, [1] of the table; or NULL */
    int64_t text_limit;     /* bytes; if that entry has more, it is no text */
    bool arrays_only;       /* an entry that is neither an array nor the text is an error */
};

/* Pushes a table of the tensors by the names of their entries without .npy. Raises errors of
 * lk.load that name the file, and the entry if one is to blame. */
void archive_arrays_load(lua_State *L, const struct archive_arrays *job);

#endif
