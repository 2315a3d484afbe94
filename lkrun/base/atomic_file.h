/* A file that takes the place of another at once: readers see the old file or the whole new one. */
#ifndef LKRUN_ATOMIC_FILE_H
#define LKRUN_ATOMIC_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <limits.h>

#include "base/sink.h"

struct atomic_file {
    struct sink sink;         /* what is written to it goes into the new file */
    int fd;                   /* of the new file; -1: there is none */
    char target[PATH_MAX];    /* the file to replace; where the path was a link, what it led to */
    char temporary[PATH_MAX]; /* name of the new file; empty: it has none yet */
    char problem[256];        /* filled in by the call that failed */
};

/* Opens a new file beside `path`. False, with `problem` filled in, where that can't be done, or
 * where something other than a regular file is at `path`. */
bool atomic_file_open(struct atomic_file *file, const char *path);
bool atomic_file_write(struct atomic_file *file, const void *bytes, size_t length);
/* Brings the new file onto the disk and into place. On false nothing has changed at `path`. */
bool atomic_file_commit(struct atomic_file *file);
/* Removes the new file. Does nothing after a commit. */
void atomic_file_abandon(struct atomic_file *file);
/* Commits the file if all of it was written, and abandons it otherwise, or where the commit fails.
 * Says whether it is in place. */
bool atomic_file_finish(struct atomic_file *file, bool written);

#endif
