/* Template and workers, from the host's side: making, replacing and ending them. What the template
 * does is in pool_template.c. */
#include "pool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend.h"
#include "collector.h"
#include "region.h"
#include "signals.h"

/* Task tensors that a worker fetched since its last collection, above which one is due: their
 * userdata are small, so that the collector would not notice what they hold on to. All workers
 * together leave most of the region to others. */
#define FETCH_BUDGET ((size_t)32 << 20)
#define FETCH_SHARE  16

static struct pool *all_pools; /* of this process */

static const char *remedy(int reason)
{
    return reason == EAGAIN   ? "; use fewer workers, or raise the limit on processes (ulimit -u)"
           : reason == EMFILE ? "; use fewer workers, or raise the limit on open files (ulimit -n)"
           : reason == ENFILE ? "; the system has too many open files"
           : reason == ENOMEM ? "; use fewer workers, or free memory"
                              : "";
}

static bool fail(struct pool *pool, const char *what)
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
        return fail(pool, "eventfd");
    for (int i = 0; i < 2; i++) {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) < 0)
            return fail(pool, "pipe");
        worker->output_fd[i] = ends[0];
        worker->output_end[i] = ends[1];
        fcntl(ends[0], F_SETFL, O_NONBLOCK);
    }
    return true;
}

static bool make_shared(struct pool *pool)
{
    int jobs = pool->options.jobs;
    pool->workers = calloc((size_t)jobs, sizeof *pool->workers);
    pool->polled = calloc((size_t)jobs * 3 + 3, sizeof *pool->polled);
    if (!pool->workers || !pool->polled)
        return fail(pool, "memory");
    for (int i = 0; i < jobs; i++) {
        struct worker *worker = &pool->workers[i];
        worker->pidfd = worker->bell_fd = -1;
        worker->output_fd[0] = worker->output_fd[1] = worker->output_end[0] =
            worker->output_end[1] = -1;
    }
    pool->shared_size = sizeof *pool->shared + (size_t)jobs * sizeof(struct worker_shared);
    pool->shared =
        mmap(NULL, pool->shared_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (pool->shared == MAP_FAILED) {
        pool->shared = NULL;
        return fail(pool, "mmap");
    }
    pool->ring_memory = ring_memory_map(jobs * 2, RING_SIZE);
    if (!pool->ring_memory)
        return fail(pool, "memfd_create");
    pool->bell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (pool->bell_fd < 0)
        return fail(pool, "eventfd");
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return fail(pool, "socketpair");
    pool->template_fd = ends[0];
    pool->template_end = ends[1];
    for (int i = 0; i < jobs; i++)
        if (!make_worker(pool, i))
            return false;
    return true;
}

/* Gives back what make_shared and fork_template took; every piece may be missing. */
static void unmake(struct pool *pool)
{
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
    int *const descriptors[] = {&pool->bell_fd, &pool->template_fd, &pool->template_end};
    for (size_t k = 0; k < sizeof descriptors / sizeof *descriptors; k++) {
        if (*descriptors[k] >= 0)
            close(*descriptors[k]);
        *descriptors[k] = -1;
    }
    if (pool->generation)
        region_end_generation(pool->generation);
    pool->generation = 0;
}

bool pool_start(struct pool *pool, lua_State *L)
{
    pool->bell_fd = pool->template_fd = pool->template_end = -1;
    pool->owner = getpid();
    if (syscall(SYS_gettid) != getpid()) {
        snprintf(
            pool->reason, sizeof pool->reason,
            "workers cannot start from this thread; process pools are made on the main thread");
        return false;
    }
    const char *error;
    if (!region_open(&error)) {
        snprintf(pool->reason, sizeof pool->reason, "workers cannot start: %s", error);
        return false;
    }
    size_t share = region_use().size / FETCH_SHARE / (size_t)pool->options.jobs;
    pool->fetch_budget = share < FETCH_BUDGET ? share : FETCH_BUDGET;
    if (!make_shared(pool)) {
        unmake(pool);
        return false;
    }
    collector_hold(L);
    pool->next = all_pools;
    fflush(NULL);
    backend_fork_lock();
    pool->generation = region_fork_lock();
    bool forked = pool->generation && template_fork(pool, L);
    int reason = errno;
    if (pool->generation)
        region_fork_unlock();
    backend_fork_unlock();
    if (!forked) {
        errno = reason;
        fail(pool, "fork");
        unmake(pool);
        collector_release(L);
        return false;
    }
    close(pool->template_end);
    pool->template_end = -1;
    fcntl(pool->template_fd, F_SETFL, O_NONBLOCK);
    all_pools = pool;
    pool->started = true;
    return true;
}

void pool_learn_pids(struct pool *pool)
{
    for (int i = 0; i < pool->options.jobs; i++) {
        struct worker *worker = &pool->workers[i];
        if (!worker->starting)
            continue;
        int error = atomic_load(&worker->shared->start_error);
        int pid = atomic_load(&worker->shared->pid);
        if (pid > 0) {
            worker->starting = false;
            worker->pid = pid;
            worker->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
        } else if (error) {
            errno = error;
            fail(pool, "fork");
            pool_lose(pool, worker);
        }
    }
}

static void end_template(struct pool *pool)
{
    int status = 0;
    close(pool->template_fd);
    pool->template_fd = -1;
    pid_t ended = waitpid(pool->template_pid, &status, 0);
    pool->template_pid = 0;
    char signal_text[32] = "has ended";
    if (ended > 0 && WIFSIGNALED(status))
        snprintf(signal_text, sizeof signal_text, "was killed (SIG%s)",
                 sigabbrev_np(WTERMSIG(status)));
    snprintf(pool->reason, sizeof pool->reason,
             "workers cannot start: the template process %s; make a new invoker", signal_text);
    for (int i = 0; i < pool->options.jobs; i++)
        if (pool->workers[i].starting)
            pool_lose(pool, &pool->workers[i]);
}

void pool_template_news(struct pool *pool)
{
    char nudge;
    ssize_t got;
    if (pool->template_fd < 0)
        return;
    do {
        got = recv(pool->template_fd, &nudge, 1, 0);
    } while (got == 1 || (got < 0 && errno == EINTR));
    bool ended = got == 0 || errno != EAGAIN;
    pool_learn_pids(pool);
    if (ended)
        end_template(pool);
}

/* Asks the template for a worker; false: it has ended. */
static bool request_worker(struct pool *pool, int place)
{
    while (pool->template_fd >= 0) {
        if (send(pool->template_fd, &place, sizeof place, MSG_NOSIGNAL) == (ssize_t)sizeof place)
            return true;
        if (errno == EAGAIN) { /* it is busy with as many requests as the socket holds */
            struct pollfd socket = {.fd = pool->template_fd, .events = POLLIN | POLLOUT};
            poll(&socket, 1, -1);
        }
        pool_template_news(pool);
    }
    return false;
}

void pool_empty_place(struct pool *pool, struct worker *worker)
{
    int place = (int)(worker - pool->workers);
    struct worker_shared *shared = worker->shared;
    memset(shared, 0, sizeof *shared);
    shared->quiet = 1;
    ring_attach(&worker->tasks, &shared->tasks, pool->ring_memory, place * 2, RING_SIZE);
    ring_attach(&worker->results, &shared->results, pool->ring_memory, place * 2 + 1, RING_SIZE);
    worker->committed = worker->begun_seen = 0;
    worker->busy_seen = worker->head_noted = worker->released = 0;
    worker->news_seen = 0;
    worker->condemned = 0;
    worker->window = 1;
    worker->pid = 0;
}

void pool_replace(struct pool *pool, struct worker *worker)
{
    pool_empty_place(pool, worker);
    if (request_worker(pool, (int)(worker - pool->workers)))
        worker->starting = true;
    else
        pool_lose(pool, worker);
}

static bool has_ended(pid_t pid)
{
    siginfo_t info = {0};
    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == pid;
}

/* Whether all workers have ended within `milliseconds`. Programs that their tasks started may go
 * on, with what they were given to write, unless the user wants an end of it. */
static bool wait_for_end(struct pool *pool, int milliseconds)
{
    uint64_t until = clock_nanoseconds() + (uint64_t)milliseconds * 1000000u;
    for (;;) {
        int left = 0;
        struct pollfd ends[8];
        nfds_t count = 0;
        for (int i = 0; i < pool->options.jobs; i++) {
            struct worker *worker = &pool->workers[i];
            if (worker->pid && has_ended(worker->pid)) {
                if (signal_received())
                    kill(-worker->pid, SIGKILL); /* not reaped yet: the group is its own */
                waitpid(worker->pid, NULL, 0);
                worker->pid = 0;
            }
            if (worker->pid && ++left && worker->pidfd >= 0 && count < 8)
                ends[count++] = (struct pollfd){.fd = worker->pidfd, .events = POLLIN};
            pool_read_output(worker); /* it may be waiting for room to print */
        }
        uint64_t now = clock_nanoseconds();
        if (!left)
            return true;
        if (now >= until)
            return false;
        poll(ends, count, count ? 2 : 1);
    }
}

static void kill_workers(struct pool *pool)
{
    for (int i = 0; i < pool->options.jobs; i++) {
        struct worker *worker = &pool->workers[i];
        if (!worker->pid)
            continue;
        kill(-worker->pid, SIGKILL); /* with what it started; it may not have its group yet */
        kill(worker->pid, SIGKILL);
        while (waitpid(worker->pid, NULL, 0) < 0 && errno == EINTR) {
        }
        worker->pid = 0;
    }
}

static bool is_starting(const struct pool *pool)
{
    for (int i = 0; i < pool->options.jobs; i++)
        if (pool->workers[i].starting)
            return true;
    return false;
}

void pool_stop(struct pool *pool, lua_State *L)
{
    if (!pool->started || getpid() != pool->owner)
        return;
    pool->started = false;
    for (struct pool **at = &all_pools; *at; at = &(*at)->next)
        if (*at == pool) {
            *at = pool->next;
            break;
        }
    for (int i = 0; i < pool->options.jobs; i++) {
        atomic_store(&pool->workers[i].shared->stop, 2);
        doorbell_ring(&pool->workers[i].shared->bell, pool->workers[i].bell_fd);
    }
    pool_learn_pids(pool);
    for (int tries = 0; pool->template_pid && is_starting(pool) && tries < 10; tries++) {
        struct pollfd nudge = {.fd = pool->template_fd, .events = POLLIN};
        if (poll(&nudge, 1, 10) > 0)
            pool_template_news(pool);
    }
    if (!wait_for_end(pool, 100))
        kill_workers(pool);
    if (pool->template_pid) {
        kill(pool->template_pid, SIGKILL);
        while (waitpid(pool->template_pid, NULL, 0) < 0 && errno == EINTR) {
        }
        pool->template_pid = 0;
    }
    pool_learn_pids(pool); /* those it forked meanwhile */
    kill_workers(pool);
    for (int i = 0; i < pool->options.jobs; i++) {
        pool_drain(pool, &pool->workers[i], 0); /* last words */
        pool_flush_output(&pool->workers[i]);
    }
    unmake(pool);
    collector_release(L);
}
