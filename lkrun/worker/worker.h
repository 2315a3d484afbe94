/* What a worker knows of itself, and what it does whether it is a process or a thread. */
#ifndef LKRUN_WORKER_H
#define LKRUN_WORKER_H

#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
#include "pool/pool_state.h"
#include "base/random.h"
#include "tensor/tensor.h"
#include "screen/trace.h"

struct worker_site {
    struct pool *pool;
    struct worker_shared *shared;
    struct ring tasks, results;
    struct trace_lane *lane; /* NULL: no timeline */
    struct codec_port port;
    void *(*resolve)(uint64_t handle, size_t bytes); /* region handles of the host */
    FILE *streams[2]; /* of a thread: its standard output and error; NULL: the process's own */
    int place;        /* from 0 */
    pid_t pid;        /* of its process */
    bool is_process;  /* not a thread */
    bool is_limited;  /* in time or memory */
    bool forked;      /* this is a copy, in a process that a task made */
    int bell_fd;
    uint64_t following; /* index of the task in a short frame: the one after the last */
    uint64_t index;     /* of the task that runs, 0: none */
    struct task task;   /* which one it is */
    struct random_stream stream;
    struct buffer out;    /* the result that is being made */
    struct buffer freed;  /* handles of task tensors let go since last told */
    size_t fetched;       /* bytes of task tensors since the last collection */
    uint32_t unannounced; /* results published since the host was last looked after */
    size_t wanted;        /* room in the results that it waits for */
    struct patience patience;
    uint64_t output_checked; /* when the pipes were asked for unread output */
    uint64_t written_seen;   /* stdio_written() then */
};

/* The view of the worker in this place; NULL: no memory. It stays where it is. */
struct worker_site *worker_open_site(struct pool *pool, int place);
/* Runs tasks until the host says stop. L's stack is func and model. */
void worker_serve(struct worker_site *site, lua_State *L);
/* Whether storage is that of a task's tensor, which only the worker that got it may hold. */
bool worker_storage_is_lent(const struct storage *storage);
/* A frame to the host, in pieces where it is large; waits for room. */
void worker_post(struct worker_site *site, uint8_t kind, uint8_t flags, const char *bytes,
                 size_t length);
/* Ends this process, with its output flushed and without what the host would do at its end. */
_Noreturn void worker_leave(int status);

#endif
