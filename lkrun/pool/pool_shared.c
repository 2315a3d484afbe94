/* What the host and its workers have in common: shared memory, rings, bells and, for workers that
 * are processes, pipes for what they print. A thread prints over its ring. */
#include "pool/pool_shared.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/channel.h"
#include "base/util.h"
#include "machine/jobserver.h"
#include "memory/region.h"
#include "memory/segment.h"
#include "pool/flight.h"
#include "pool/pool_state.h"
#include "pool/pool_timeline.h"
#include "pool/pool_tokens.h"
#include "worker/worker_shared.h"

/* How many bytes of task tensors a worker may fetch before it has to collect garbage: their
 * userdata are small, so the collector does not notice how much they hold on to. All workers
 * together may fetch one part in FETCH_SHARE of the region. */
#define FETCH_BUDGET ((size_t)32 << 20)
#define FETCH_SHARE  16

void pool_empty_place(struct pool *pool, struct worker *worker)
{
    int place = (int)(worker - pool->workers);
    struct worker_shared *shared = worker->shared;
    char *memory = pool->work.ring_memory;
    memset(shared, 0, sizeof *shared);
    shared->quiet = 1;
    ring_attach(&worker->tasks, &shared->tasks, memory, place * 2, RING_SIZE);
    ring_attach(&worker->results, &shared->results, memory, place * 2 + 1, RING_SIZE);
    worker->committed = worker->begun_seen = 0;
    /* A new worker knows no task before its first, so that one cannot have a short frame. */
    worker->next_index = 0;
    worker->busy_seen = worker->head_noted = worker->released = 0;
    worker->news_seen = 0;
    worker->killed_at = 0;
    worker->stopped_since = 0;
    worker->overdue = NOT_OVERDUE;
    worker->window = 1;
    worker->pid = 0;
}

static bool make_worker(struct pool *pool, int place)
{
    struct worker *worker = &pool->workers[place];
    worker->shared = &pool->work.shared->workers[place];
    pool_empty_place(pool, worker);
    worker->starting = true;
    worker->bell_fd = eventfd(0, EFD_CLOEXEC);
    if (worker->bell_fd < 0)
        return pool_fail(pool, "eventfd");
    for (int i = 0; i < 2 && !pool->kind->in_this_process; i++) {
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
    bool by_descriptor = pool->kind->shares_by_descriptor;
    int jobs = pool->work.options.jobs;
    const char *error;
    if (!region_open(&error)) {
        snprintf(pool->reason, sizeof pool->reason, "workers cannot start: %s", error);
        return false;
    }
    size_t share = region_use().size / FETCH_SHARE / (size_t)jobs;
    pool->limited = jobserver_limits();
    pool->work.fetch_budget = share < FETCH_BUDGET ? share : FETCH_BUDGET;
    pool->workers = calloc((size_t)jobs, sizeof *pool->workers);
    if (!pool->workers)
        return pool_fail(pool, "memory");
    for (int i = 0; i < jobs;
         i++) { /* before anything can fail: pool_unmake closes what is not -1 */
        struct worker *worker = &pool->workers[i];
        worker->pidfd = worker->bell_fd = -1;
        worker->output_fd[0] = worker->output_fd[1] = worker->output_end[0] =
            worker->output_end[1] = -1;
    }
    pool->polled = calloc((size_t)jobs * 3 + 4, sizeof *pool->polled);
    if (!pool->polled)
        return pool_fail(pool, "memory");
    size_t lanes;
    pool->work.shared_size =
        sizeof *pool->work.shared + (size_t)jobs * sizeof(struct worker_shared);
    pool->work.shared_size += pool_trace_room(pool, &lanes);
    if (by_descriptor) {
        pool->shared_fd = memfd_create("lkrun-pool", MFD_CLOEXEC);
        if (pool->shared_fd < 0 || !file_resize(pool->shared_fd, pool->work.shared_size))
            return pool_fail(pool, "memfd_create");
    }
    pool->work.shared = mmap(NULL, pool->work.shared_size, PROT_READ | PROT_WRITE,
                             MAP_SHARED | (by_descriptor ? 0 : MAP_ANONYMOUS), pool->shared_fd, 0);
    if (pool->work.shared == MAP_FAILED) {
        pool->work.shared = NULL;
        return pool_fail(pool, "mmap");
    }
    pool->work.shared->lanes = lanes;
    pool->work.ring_memory =
        ring_memory_map(jobs * 2, RING_SIZE, by_descriptor ? &pool->ring_fd : NULL);
    if (!pool->work.ring_memory)
        return pool_fail(pool, "memfd_create");
    pool->work.bell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (pool->work.bell_fd < 0)
        return pool_fail(pool, "eventfd");
    int ends[2] = {-1, -1};
    if (pool->kind->has_template && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return pool_fail(pool, "socketpair");
    pool->template_fd = ends[0];
    pool->template_end = ends[1];
    for (int i = 0; i < jobs; i++)
        if (!make_worker(pool, i))
            return false;
    return true;
}

/* Gives back what pool_make_shared and the kind of workers took; any piece may be missing. */
void pool_unmake(struct pool *pool)
{
    pool_give_tokens(pool);
    if (pool->trace && pool->work.shared)
        pool_trace_collect(pool);
    for (int i = 0; pool->workers && i < pool->work.options.jobs; i++) {
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
        buffer_free(&worker->unfinished_line[0]);
        buffer_free(&worker->unfinished_line[1]);
        buffer_free(&worker->partial_frame);
        segments_free(&worker->lent);
        segments_free(&worker->grants);
    }
    while (pool->backlog.count) {
        struct flight flight = flights_pop(&pool->backlog);
        flight_discard(&flight);
    }
    free(pool->backlog.items);
    segments_free(&pool->task_segments);
    free(pool->workers);
    free(pool->polled);
    pool->backlog = (struct flight_queue){0};
    pool->workers = NULL;
    pool->polled = NULL;
    if (pool->work.shared)
        munmap(pool->work.shared, pool->work.shared_size);
    if (pool->work.ring_memory)
        ring_memory_unmap(pool->work.ring_memory, pool->work.options.jobs * 2, RING_SIZE);
    pool->work.shared = NULL;
    pool->work.ring_memory = NULL;
    int *const descriptors[] = {&pool->work.bell_fd, &pool->template_fd, &pool->template_end,
                                &pool->shared_fd, &pool->ring_fd};
    for (size_t k = 0; k < sizeof descriptors / sizeof *descriptors; k++) {
        if (*descriptors[k] >= 0)
            close(*descriptors[k]);
        *descriptors[k] = -1;
    }
    if (pool->kind->forget)
        pool->kind->forget(pool);
    if (pool->generation)
        region_end_generation(pool->generation);
    pool->generation = 0;
}
