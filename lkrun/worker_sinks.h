/* What a worker knows of itself, and where its log records and displays go. */
#ifndef LKRUN_WORKER_SINKS_H
#define LKRUN_WORKER_SINKS_H

#include <stdint.h>
#include <sys/types.h>
#include "pool.h"

struct worker_site {
    struct pool *pool;
    struct worker_shared *shared;
    struct ring tasks, results;
    struct codec_port port;
    int place; /* from 0 */
    pid_t pid;
    int bell_fd;
    uint64_t index;       /* of the task that runs, 0: none */
    struct buffer out;    /* the result that is being made */
    struct buffer freed;  /* handles of task tensors let go since last told */
    size_t fetched;       /* bytes of task tensors since the last collection */
    uint32_t unannounced; /* results published since the host was last looked after */
    struct patience patience;
    uint64_t output_checked; /* when the pipes were asked for unread output */
    uint64_t written_seen;   /* stdio_written() then */
};

/* A frame to the host, in pieces where it is large; waits for room. */
void worker_post(uint16_t kind, uint16_t flags, const char *bytes, size_t length);

/* Worker: log records and displays become frames from here on. */
void worker_install_sinks(struct worker_site *site);

/* Host: such a frame's payload, from worker `worker` (from 1). */
void sinks_show_log(const char *bytes, size_t length, int worker, uint64_t task);
void sinks_show_progress(const char *bytes, size_t length, int worker);

#endif
