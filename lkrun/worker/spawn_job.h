/* What a worker that is a new process is given, by its host. */
#ifndef LKRUN_SPAWN_JOB_H
#define LKRUN_SPAWN_JOB_H

#include <stdint.h>
#include "worker/workplace.h"

/* The descriptors that a spawned worker finds open when it starts. */
enum spawn_descriptor {
    SPAWN_SHARED = 3, /* struct pool_shared */
    SPAWN_RINGS,
    SPAWN_JOB, /* struct spawn_job and what follows it */
    SPAWN_REGION,
    SPAWN_POOL_BELL,
    SPAWN_WORKER_BELL,
    SPAWN_FILES /* the files of mapped tensors have this number and the next ones */
};

/* How the handle of a storage is made up in what is carried. The handle of a region's segment is a
 * multiple of the page size, and SPAWN_WRITABLE is added where workers may write it. The handle of
 * a mapped file is SPAWN_MAPPED + SPAWN_FILE × the number of the file + SPAWN_OFFSET × where the
 * storage begins in it, in bytes. */
enum { SPAWN_WRITABLE = 1, SPAWN_MAPPED = 2, SPAWN_FILE = 4, SPAWN_OFFSET = 4096 };

#define SPAWN_MOST_FILES 32 /* tensors of further files are copied */

struct spawn_file {
    uint64_t bytes;
    char path[320]; /* for messages */
};

/* What the host writes for all its spawned workers. A worker refuses a job of another version of
 * lkrun. */
struct spawn_job {
    char version[16];
    uint32_t size; /* of this struct */
    int32_t owner; /* the host's pid */
    int32_t log_level;
    uint64_t shared_size, region_size, fetch_budget;
    struct pool_options options;
    int32_t file_count;
    struct spawn_file files[SPAWN_MOST_FILES];
    /* Bytes of what follows, in this order: package.path, package.cpath, func and model. */
    uint64_t path, cpath, carried;
};

#endif
