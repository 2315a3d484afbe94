/* What a worker sees of the pool that it works for, whatever kind of worker it is: a forked or
 * spawned process, or a thread. The host's struct pool holds one; a spawned worker makes its own
 * from what the host shares with it. */
#ifndef LKRUN_WORKPLACE_H
#define LKRUN_WORKPLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "machine/config.h"
#include "worker/worker_shared.h"

struct pool_options {
    int jobs;
    bool ordered;
    bool return_errors;
    int retries;
    double timeout;      /* seconds; 0: none */
    size_t memory_limit; /* bytes; 0: none */
    uint64_t seed;
    bool seed_given;
    struct config worker; /* the configuration inside workers */
};

struct workplace {
    struct pool_options options;
    pid_t owner; /* the process that made the pool */
    struct pool_shared *shared;
    size_t shared_size;  /* bytes of `shared` */
    char *ring_memory;   /* the rings of all workers, two each */
    int bell_fd;         /* wakes the host */
    size_t fetch_budget; /* bytes of task tensors that make a worker collect garbage */
};

/* What one worker process gets for itself. */
struct worker_seat {
    int place;         /* which worker it is, from 0 */
    int bell_fd;       /* wakes this worker */
    int output_end[2]; /* these become its standard output and error */
    /* Whether a template ends what the worker's tasks started when the host is gone. Without one
     * the worker ends its process group itself. */
    bool has_template;
};

static inline uint64_t timeout_nanoseconds(const struct pool_options *options)
{
    return options->timeout > 1e9 ? (uint64_t)1e18 : (uint64_t)(options->timeout * 1e9);
}

#endif
