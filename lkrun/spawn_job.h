/* What a worker that is a new process is given, by its host. */
#ifndef LKRUN_SPAWN_JOB_H
#define LKRUN_SPAWN_JOB_H

#include <stdint.h>
#include "pool.h"

/* What a worker finds open. */
enum spawn_descriptor {
    SPAWN_SHARED = 3, /* struct pool_shared */
    SPAWN_RINGS,
    SPAWN_JOB, /* struct spawn_job and what follows it */
    SPAWN_REGION,
    SPAWN_POOL_BELL,
    SPAWN_WORKER_BELL,
    SPAWN_END
};

/* Both ends are the same version of lkrun, or the worker refuses. */
struct spawn_job {
    char version[16];
    uint32_t size; /* of this struct */
    int32_t owner; /* the host's pid */
    int32_t log_level;
    uint64_t shared_size, region_size, fetch_budget;
    struct pool_options options;
    uint64_t path, cpath, carried; /* lengths of what follows, in this order */
};

#endif
