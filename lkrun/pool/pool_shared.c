/* What the host and its workers have in common: shared memory, rings, bells, pipes. A thread needs
 * no pipes: what it prints comes over its ring; and there is no template to talk to. */
#include "pool/pool_state.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "machine/jobserver.h"
#include "pool/pool_timeline.h"
#include "memory/region.h"

/* Task tensors that a worker fetched since its last collection, above which one is due: their
 * userdata are small, so that the collector would not notice what they hold on to. All workers
 * together leave most of the region to others. */
#define FETCH_BUDGET ((size_t)32 << 20)
#define FETCH_SHARE  16

static const char *remedy(int reason)
{
    return reason == EAGAIN   ? "; use fewer workers, or raise the limit on processes (ulimit -u)"
           : reason == EMFILE ? "; use fewer workers, or raise the limit on open files (ulimit -n)"
           : reason == ENFILE ? "; the system has too many open files"
           : reason == ENOMEM ? "; use fewer workers, or free memory"
                              : "";
}

bool pool_fail(struct pool *pool, const char *what)
{
    int reason = errno;
    snprintf(pool->reason, sizeof pool->reason, "workers cannot start: %s: %s%s", what,
             strerror(reason), remedy(reason));
    return false;
}

static bool make_worker(struct pool *pool, int place)
{
    struct worker *worker = &pool->workers[place];
    worker->shared = &pool->shared->workers[place];
    worker->shared->quiet = 1;
    ring_attach(&worker->tasks, &worker->shared->tasks, pool->ring_memory, place * 2, RING_SIZE);
    ring_attach(&worker->results, &worker->shared->results, pool->ring_memory, place * 2 + 1,
                RING_SIZE);
    worker->window = 1;
    worker->starting = true;
    worker->bell_fd = eventfd(0, EFD_CLOEXEC);
    if (worker->bell_fd < 0)
        return pool_fail(pool, "eventfd");
    for (int i = 0; i < 2 && pool->options.kind != WORKERS_THREADS; i++) {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) < 0)
            return pool_fail(pool, "pipe");
        worker->output_fd[i] = ends[0];
        worker->output_end[i] = ends[1];
        fcntl(ends[0], F_SETFL, O_NONBLOCK);
    }
    return true;
}

bool pool_make_shared(struct pool *pool)
{
    bool threads = pool->options.kind == WORKERS_THREADS;
    bool spawned = pool->options.kind == WORKERS_SPAWN;
    pool->shared_fd = pool->ring_fd = -1;
    int jobs = pool->options.jobs;
    const char *error;
    if (!region_open(&error)) {
        snprintf(pool->reason, sizeof pool->reason, "workers cannot start: %s", error);
        return false;
    }
    size_t share = region_use().size / FETCH_SHARE / (size_t)jobs;
    pool->limited = jobserver_limits();
    pool->fetch_budget = share < FETCH_BUDGET ? share : FETCH_BUDGET;
    pool->workers = calloc((size_t)jobs, sizeof *pool->workers);
    pool->polled = calloc((size_t)jobs * 3 + 4, sizeof *pool->polled);
    if (!pool->workers || !pool->polled)
        return pool_fail(pool, "memory");
    for (int i = 0; i < jobs; i++) {
        struct worker *worker = &pool->workers[i];
        worker->pidfd = worker->bell_fd = -1;
        worker->output_fd[0] = worker->output_fd[1] = worker->output_end[0] =
            worker->output_end[1] = -1;
    }
    size_t lanes;
    pool->shared_size = sizeof *pool->shared + (size_t)jobs * sizeof(struct worker_shared);
    pool->shared_size += pool_trace_room(pool, &lanes);
    if (spawned) {
        pool->shared_fd = memfd_create("lkrun-pool", MFD_CLOEXEC);
        if (pool->shared_fd < 0 || !file_resize(pool->shared_fd, pool->shared_size))
            return pool_fail(pool, "memfd_create");
    }
    pool->shared = mmap(NULL, pool->shared_size, PROT_READ | PROT_WRITE,
                        MAP_SHARED | (spawned ? 0 : MAP_ANONYMOUS), pool->shared_fd, 0);
    if (pool->shared == MAP_FAILED) {
        pool->shared = NULL;
        return pool_fail(pool, "mmap");
    }
    pool->shared->lanes = lanes;
    pool->ring_memory = ring_memory_map(jobs * 2, RING_SIZE, spawned ? &pool->ring_fd : NULL);
    if (!pool->ring_memory)
        return pool_fail(pool, "memfd_create");
    pool->bell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (pool->bell_fd < 0)
        return pool_fail(pool, "eventfd");
    int ends[2] = {-1, -1};
    if (!threads && !spawned && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return pool_fail(pool, "socketpair");
    pool->template_fd = ends[0];
    pool->template_end = ends[1];
    for (int i = 0; i < jobs; i++)
        if (!make_worker(pool, i))
            return false;
    return true;
}

/* Gives back what make_shared and fork_template took; every piece may be missing. */
void pool_unmake(struct pool *pool)
{
    pool_give_tokens(pool);
    if (pool->trace && pool->shared)
        pool_trace_collect(pool);
    for (int i = 0; pool->workers && i < pool->options.jobs; i++) {
        struct worker *worker = &pool->workers[i];
        const int descriptors[] = {worker->pidfd,         worker->bell_fd,
                                   worker->output_fd[0],  worker->output_fd[1],
                                   worker->output_end[0], worker->output_end[1]};
        for (size_t k = 0; k < sizeof descriptors / sizeof *descriptors; k++)
            if (descriptors[k] >= 0)
                close(descriptors[k]);
        while (worker->flights.count) {
            struct flight flight = flights_pop(&worker->flights);
            flight_discard(&flight);
        }
        free(worker->flights.items);
        buffer_free(&worker->line[0]);
        buffer_free(&worker->line[1]);
        buffer_free(&worker->partial);
        segments_free(&worker->held);
        segments_free(&worker->grants);
    }
    while (pool->backlog.count) {
        struct flight flight = flights_pop(&pool->backlog);
        flight_discard(&flight);
    }
    free(pool->backlog.items);
    segments_free(&pool->placing);
    free(pool->workers);
    free(pool->polled);
    pool->backlog = (struct flight_queue){0};
    pool->workers = NULL;
    pool->polled = NULL;
    if (pool->shared)
        munmap(pool->shared, pool->shared_size);
    if (pool->ring_memory)
        ring_memory_unmap(pool->ring_memory, pool->options.jobs * 2, RING_SIZE);
    pool->shared = NULL;
    pool->ring_memory = NULL;
    int *const descriptors[] = {&pool->bell_fd, &pool->template_fd, &pool->template_end,
                                &pool->shared_fd, &pool->ring_fd};
    for (size_t k = 0; k < sizeof descriptors / sizeof *descriptors; k++) {
        if (*descriptors[k] >= 0)
            close(*descriptors[k]);
        *descriptors[k] = -1;
    }
    spawn_unmake(pool);
    if (pool->generation)
        region_end_generation(pool->generation);
    pool->generation = 0;
}
