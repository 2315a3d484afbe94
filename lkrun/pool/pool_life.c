/* Template and workers, from the host's side: making, replacing and ending them. What the template
 * does is in pool_template.c. */
#include "pool/pool_state.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "machine/backend.h"
#include "machine/bind.h"
#include "memory/collector.h"
#include "pool/pool_timeline.h"
#include "memory/region.h"
#include "machine/signals.h"

static struct pool *all_pools; /* of this process */

uint32_t fork_count;

static void on_fork(void)
{
    fork_count++;
}

bool pool_start(struct pool *pool, lua_State *L)
{
    static bool watches_forks;
    if (!watches_forks)
        watches_forks = pthread_atfork(NULL, NULL, on_fork) == 0;
    pool->forks = fork_count;
    pool->bell_fd = pool->template_fd = pool->template_end = -1;
    pool->owner = getpid();
    if (pool->options.kind == WORKERS_THREADS)
        return threads_start(pool, L);
    pool->shared_fd = pool->ring_fd = -1;
    if (syscall(SYS_gettid) != getpid()) {
        snprintf(pool->reason, sizeof pool->reason,
                 "workers cannot start from this thread; processes are made on the main thread "
                 "alone (workers = \"threads\" works everywhere)");
        return false;
    }
    if (pool->options.kind == WORKERS_SPAWN)
        return spawn_start(pool, L);
    if (!bind_prepare(pool->options.jobs, pool->options.worker.value[KNOB_BACKEND_THREADS],
                      pool->reason, sizeof pool->reason) ||
        !pool_make_shared(pool)) {
        pool_unmake(pool);
        return false;
    }
    if (!config_prepare_worker(&pool->options.worker)) {
        pool_fail(pool, "memory");
        pool_unmake(pool);
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
    bind_forget();
    if (!forked) {
        errno = reason;
        pool_fail(pool, "fork");
        pool_unmake(pool);
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
            if (pool->trace)
                pool_trace_started(pool, worker);
        } else if (error) {
            errno = error;
            pool_fail(pool, "fork");
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
    worker->following = 0; /* a new worker knows of no task before */
    worker->busy_seen = worker->head_noted = worker->released = 0;
    worker->news_seen = 0;
    worker->condemned = 0;
    worker->stopped_since = 0;
    worker->overdue = NOT_OVERDUE;
    worker->window = 1;
    worker->pid = 0;
}

void pool_replace(struct pool *pool, struct worker *worker)
{
    pool_empty_place(pool, worker);
    if (pool->spawn) {
        if (!spawn_worker(pool, (int)(worker - pool->workers)))
            pool_lose(pool, worker);
        return;
    }
    if (request_worker(pool, (int)(worker - pool->workers)))
        worker->starting = true;
    else
        pool_lose(pool, worker);
}

/* Ends the worker if it is in a task whose result nobody waits for. */
static void end_dropped(struct pool *pool, struct worker *worker)
{
    pool_drain(pool, worker, 0);
    uint32_t begun = claim_begun(claim_of(worker));
    if (!worker->pid || worker->condemned || begun == worker->committed || !worker->flights.count ||
        !flights_at(&worker->flights, 0)->is_dropped)
        return;
    worker->condemned = (uint64_t)begun + 1;
    kill(-worker->pid, SIGKILL); /* not reaped yet: the group is its own */
}

void pool_end_dropped(void)
{
    for (struct pool *pool = all_pools; pool; pool = pool->next)
        for (int i = 0; pool->owner == getpid() && i < pool->options.jobs; i++)
            end_dropped(pool, &pool->workers[i]);
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
    if (pool->options.kind == WORKERS_THREADS) {
        threads_stop(pool);
        pool_unmake(pool);
        return;
    }
    for (struct pool **at = &all_pools; *at; at = &(*at)->next)
        if (*at == pool) {
            *at = pool->next;
            break;
        }
    for (int i = 0; i < pool->options.jobs && pool->workers; i++) {
        if (!pool->workers[i].shared)
            continue;
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
    pool_unmake(pool);
    if (pool->options.kind == WORKERS_PROCESSES)
        collector_release(L);
}
