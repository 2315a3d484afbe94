/* A file that takes another's place at once: readers see the old one or the whole new one. */
#ifndef LKRUN_ATOMIC_FILE_H
#define LKRUN_ATOMIC_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <limits.h>

#include "base/sink.h"

struct atomic_file {
    struct sink sink; /* its bytes go into the new file */
    int fd;
    char target[PATH_MAX];    /* the file itself, where the path given was a link to it */
    char temporary[PATH_MAX]; /* empty: the file has no name yet */
    char problem[256];        /* filled in by the call that failed */
};

/* Opens a new file beside `path`, exclusively. False where it can't be, or where something else
 * than a regular file is at `path`. */
bool atomic_file_open(struct atomic_file *file, const char *path);
bool atomic_file_write(struct atomic_file *file, const void *bytes, size_t length);
/* Onto the disk and into place. On false nothing has changed at `path`. */
bool atomic_file_commit(struct atomic_file *file);
/* Gives up: the new file is removed. Does nothing after a commit. */
void atomic_file_abandon(struct atomic_file *file);

#endif
