/* What the host and its workers share: the kinds of frames on their rings, and a few cache lines of
 * memory for each worker. */
#ifndef LKRUN_WORKER_SHARED_H
#define LKRUN_WORKER_SHARED_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/channel.h"
#include "screen/trace.h"

#define RING_SIZE ((size_t)256 << 10)

/* Frames to a worker. */
enum task_kind {
    TASK_VALUE = 1,    /* the encoded task */
    TASK_INDIRECT = 2, /* too large for the ring: a struct indirect */
};
enum task_flags { TASK_IS_FUTURE = 1 };

/* Frames from a worker. */
enum result_kind {
    RESULT_VALUES = 1, /* what func returned */
    /* The encoded table {message =, traceback =, value =}; no value where it cannot be sent. */
    RESULT_ERROR,
    /* A piece of a frame that is too large for the ring; the last piece has the kind of the whole.
     */
    RESULT_PART,
    RESULT_LOG,      /* a log record, see worker_reports.c */
    RESULT_PROGRESS, /* the state of a progress display that the worker made */
    RESULT_FREED,    /* handles of task tensors that the worker let go */
    /* Bytes that a thread printed to standard output or, with flags = 1, to standard error. */
    RESULT_OUTPUT,
};

enum result_flags {
    RESULT_PRINTED = 1, /* the worker's output pipes hold bytes of this task or earlier ones */
    RESULT_DREW = 2,    /* the task drew random numbers */
};

/* Where a task that is too large for the ring lies in the region, and its length in bytes. */
struct indirect {
    uint64_t handle;
    uint64_t length;
};

/* Why a worker ended itself, or why the host ended it. It is published before the end. */
enum worker_verdict { VERDICT_NONE, VERDICT_TIMEOUT, VERDICT_MEMORY };

/* What the host shares with one worker. A comment above each group of fields says which side writes
 * them. */
struct worker_shared {
    /* Written by both: the tasks begun since the worker started (high half) and how many it may
     * have begun by now (low half). The worker begins a task by adding one to the first while it is
     * below the second; the host takes unbegun tasks back by lowering the second, never below the
     * first. */
    _Alignas(CACHE_LINE) _Atomic uint64_t claim;
    struct ring_shared tasks, results;
    /* Written by the worker: the nanoseconds that it was busy before busy_since, which is 0 while
     * it is idle. */
    _Alignas(CACHE_LINE) _Atomic uint64_t busy;
    _Atomic uint64_t busy_since;
    _Atomic uint64_t asked;      /* bytes of the region that it waits for; 0: none */
    _Atomic uint64_t task_since; /* with a timeout: when its task began; 0 between tasks */
    /* An enum worker_verdict. The host writes it, too, before it kills the worker. */
    _Atomic uint32_t verdict;
    /* How many log records, displays and pieces of output it has posted: when this grows, the host
     * takes them in at once, together with the results before them. */
    _Atomic uint32_t news;
    /* Written by whoever makes the worker: the template, or for the first forked worker and for
     * spawned ones the host. */
    /* 0: there is none yet. Where the template forks, the kernel sets it before the fork runs. */
    _Atomic int32_t pid;
    _Atomic int32_t start_error; /* errno of the fork that failed */
    /* Written by the host. */
    /* The handle of the room that was asked for, plus 1; 0: no answer yet; or GRANT_REFUSED. */
    _Alignas(CACHE_LINE) _Atomic uint64_t granted;
    _Atomic uint32_t quiet; /* results it may publish before it looks whether the host sleeps */
    /* Not 0: the worker is to leave after its task; 2: even while it waits for the host. */
    _Atomic uint32_t stop;
    struct doorbell bell; /* the worker's */
};
#define GRANT_REFUSED UINT64_MAX

/* What the host shares with all its workers. */
struct pool_shared {
    struct doorbell bell;                          /* the host's */
    _Alignas(CACHE_LINE) _Atomic uint64_t ordinal; /* of the map that runs, for random streams */
    size_t lanes; /* bytes from here to the workers' lanes of a timeline; 0: there is none */
    struct worker_shared workers[];
};

static inline uint32_t claim_begun(uint64_t claim)
{
    return (uint32_t)(claim >> 32);
}
static inline uint32_t claim_limit(uint64_t claim)
{
    return (uint32_t)claim;
}

/* The lane of a timeline that the worker in this place writes; NULL: there is no timeline. */
static inline struct trace_lane *lane_of(struct pool_shared *shared, int place)
{
    if (!shared->lanes)
        return NULL;
    return (struct trace_lane *)(void *)((char *)shared + shared->lanes) + place;
}

#endif
