/* What a worker that is a new process is given, by its host. */
#ifndef LKRUN_SPAWN_JOB_H
#define LKRUN_SPAWN_JOB_H

#include <stdint.h>
#include "worker/workplace.h"

/* What a worker finds open. */
enum spawn_descriptor {
    SPAWN_SHARED = 3, /* struct pool_shared */
    SPAWN_RINGS,
    SPAWN_JOB, /* struct spawn_job and what follows it */
    SPAWN_REGION,
    SPAWN_POOL_BELL,
    SPAWN_WORKER_BELL,
    SPAWN_FILES /* those of mapped tensors, from here on */
};

/* A storage's handle in what is carried. A region handle is whole pages, and SPAWN_WRITABLE says
 * that workers may write it. One with SPAWN_MAPPED is a file's: its number times SPAWN_FILE, and
 * where the storage begins in it times SPAWN_OFFSET. */
enum { SPAWN_WRITABLE = 1, SPAWN_MAPPED = 2, SPAWN_FILE = 4, SPAWN_OFFSET = 4096 };

#define SPAWN_MOST_FILES 32 /* the tensors of others are copied */

struct spawn_file {
    uint64_t bytes;
    char path[320]; /* in messages */
};

/* Both ends are the same version of lkrun, or the worker refuses. */
struct spawn_job {
    char version[16];
    uint32_t size; /* of this struct */
    int32_t owner; /* the host's pid */
    int32_t log_level;
    uint64_t shared_size, region_size, fetch_budget;
    struct pool_options options;
    int32_t file_count;
    struct spawn_file files[SPAWN_MOST_FILES];
    uint64_t path, cpath, carried; /* lengths of what follows, in this order */
};

#endif
