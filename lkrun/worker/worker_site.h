/* What a worker knows of itself. */
#ifndef LKRUN_WORKER_SITE_H
#define LKRUN_WORKER_SITE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "base/channel.h"
#include "base/random.h"
#include "base/util.h"
#include "screen/trace.h"
#include "value/codec.h"
#include "worker/task.h"
#include "worker/workplace.h"

struct worker_site {
    const struct workplace *workplace;
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
    uint64_t next_index; /* index of the task in a short frame: the one after the last */
    uint64_t index;      /* of the task that runs, 0: none */
    struct task task;    /* which one it is */
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

#endif
