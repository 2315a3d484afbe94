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
    /* Gives the address of a handle of the host's region. */
    void *(*resolve)(uint64_t handle, size_t bytes);
    /* The standard output and error of a thread; NULL in a process, which has its own. */
    FILE *streams[2];
    int place;       /* from 0 */
    pid_t pid;       /* of the process that the worker is, or runs in */
    bool is_process; /* not a thread */
    bool is_limited; /* whether a timeout or a memory limit is set */
    bool forked;     /* set in a process that a task of this worker forked */
    int bell_fd;
    /* Index of the next task where its frame is short, without an index: the one after the last. */
    uint64_t next_index;
    uint64_t index;   /* of the task that runs, 0: none */
    struct task task; /* the task that runs */
    struct random_stream stream;
    struct buffer out;    /* the result that is being made */
    struct buffer freed;  /* handles of task tensors that were let go, to be sent to the host */
    size_t fetched;       /* bytes of task tensors since the last collection */
    uint32_t unannounced; /* results published since the host's bell was last rung */
    size_t wanted;        /* bytes of room on the result ring that it waits for */
    struct patience patience;
    uint64_t output_checked; /* when the pipes were last asked for unread output; ticks() */
    uint64_t written_seen;   /* what stdio_written() gave after the last task */
};

#endif
