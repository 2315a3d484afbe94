/* What the host and its workers share: the frames on the rings, and a few lines of memory. */
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
    RESULT_ERROR,      /* message, traceback, and the error value if it can be sent */
    RESULT_PART, /* the next piece of a result larger than the ring; the last is one of the above */
    RESULT_LOG,  /* level, logger, text */
    RESULT_PROGRESS, /* a display made in the worker */
    RESULT_FREED,    /* handles of task tensors that the worker let go */
    RESULT_OUTPUT,   /* of a thread: bytes to its standard output or, with flags = 1, error */
};

enum result_flags {
    RESULT_PRINTED = 1, /* the worker's output pipes hold bytes of this task or earlier ones */
    RESULT_DREW = 2,    /* the task drew random numbers */
};

struct indirect {
    uint64_t handle;
    uint64_t length;
};

/* Why a worker ended itself, or the host ended it; published before that. */
enum worker_verdict { VERDICT_NONE, VERDICT_TIMEOUT, VERDICT_MEMORY };

/* Shared between the host and one worker. Which side writes a line stands beside it. */
struct worker_shared {
    /* Both: tasks begun since the worker started (high half) and how many it may begin (low half).
     * A worker begins one by adding to the first while it is below the second; the host takes
     * unbegun tasks back by lowering the second while it is not below the first. */
    _Alignas(CACHE_LINE) _Atomic uint64_t claim;
    struct ring_shared tasks, results;
    /* Worker: nanoseconds it was busy before busy_since; busy_since is 0 while it is idle. */
    _Alignas(CACHE_LINE) _Atomic uint64_t busy;
    _Atomic uint64_t busy_since;
    _Atomic uint64_t asked;      /* bytes of region it waits for, 0: none */
    _Atomic uint64_t task_since; /* with a timeout: when its task began; 0 between tasks */
    _Atomic uint32_t verdict;    /* enum worker_verdict; or the host's */
    _Atomic uint32_t
        news; /* log records and displays posted: they don't wait for results before them */
    /* The template. */
    _Atomic int32_t pid;         /* 0: not forked yet; the kernel sets it before the worker runs */
    _Atomic int32_t start_error; /* errno of the fork that failed */
    /* Host. */
    _Alignas(CACHE_LINE) _Atomic uint64_t granted; /* handle + 1; GRANT_REFUSED */
    _Atomic uint32_t quiet; /* results it may publish before it looks whether the host sleeps */
    _Atomic uint32_t stop;  /* leave */
    struct doorbell bell;   /* the worker's */
};
#define GRANT_REFUSED UINT64_MAX

/* Shared between the host and all its workers. */
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
