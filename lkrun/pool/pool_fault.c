/* What the host does when a worker has died: it finds out which task is to blame, which tasks have
 * to run again, and makes another worker.
 *
 * What always holds: a worker publishes that it begins a task before it touches it, and the result
 * whole afterwards. So when it is dead and its ring is drained, the tasks it began are one more
 * than the results it gave if it died in a task, which is then its oldest flight; otherwise nobody
 * is to blame. All flights behind that one were never begun. */
#include "pool/pool_fault.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/util.h"
#include "memory/segment.h"
#include "pool/flight.h"
#include "pool/map_state.h"
#include "pool/pool_collect.h"
#include "pool/pool_dispatch.h"
#include "pool/pool_output.h"
#include "pool/pool_result.h"
#include "pool/pool_shared.h"
#include "pool/pool_state.h"
#include "pool/pool_timeline.h"
#include "screen/log.h"
#include "screen/progress.h"
#include "worker/failure.h"
#include "worker/worker_shared.h"

/* How many workers in a row may die in one place before they are ready for a task. */
#define FAILED_STARTS_MAX 8

/* Gives the blamed task a failure as its result. */
static void blame(struct pool *pool, struct worker *worker, const struct flight *flight, int status)
{
    char text[FAILURE_TEXT], end[160], task[48], again[64];
    int number = (int)(worker - pool->workers) + 1;
    uint32_t verdict = atomic_load_explicit(&worker->shared->verdict, memory_order_acquire);
    struct failure failure = {.message = text, .status = -1, .reason = "signal"};
    const struct failed_task failed = {.index = flight->index,
                                       .is_future = flight->is_future,
                                       .attempts = flight->attempts,
                                       .worker = number};
    describe_task(task, sizeof task, &failed);
    describe_retries(again, sizeof again, &pool->work.options, &failed);
    if (verdict == VERDICT_TIMEOUT) {
        failure.reason = "timeout";
        snprintf(text, sizeof text, "%s ran longer than its timeout of %g seconds on worker %d%s",
                 task, pool->work.options.timeout, number, again);
    } else if (verdict == VERDICT_MEMORY) {
        failure.reason = "memory";
        describe_memory(text, &pool->work.options, &failed);
    } else {
        describe_end(status, end, sizeof end);
        snprintf(text, sizeof text, "%s killed worker %d (%s)%s", task, number, end, again);
        if (status != STATUS_LOST && WIFSIGNALED(status))
            failure.signal = WTERMSIG(status);
        else
            failure.reason = "exit",
            failure.status = status == STATUS_LOST ? -1 : WEXITSTATUS(status);
    }
    struct buffer bytes = {0};
    failure_encode(pool->L, &failure, &bytes);
    struct outcome outcome = {.index = flight->index,
                              .worker = number,
                              .kind = RESULT_ERROR,
                              .bytes = bytes.data,
                              .length = bytes.length};
    pool_store(pool, flight, &outcome);
    buffer_free(&bytes);
}

/* Puts the flight back to the front of the backlog, with its bytes, which are still in the ring of
 * the dead worker. */
static void requeue(struct pool *pool, struct worker *worker, struct flight *flight)
{
    flight->bytes = pool_flight_bytes(worker, flight);
    if (flight->bytes) {
        if (flights_push_front(&pool->backlog, flight)) {
            struct map *map = pool->map;
            if (map && map->slots && !flight->is_future && !flight->is_dropped)
                map->slots[flight->index & (map->capacity - 1)].state = SLOT_QUEUED;
            return;
        }
    }
    struct outcome no_memory = {.index = flight->index, .kind = RESULT_ERROR, .bytes = ""};
    pool_store(pool, flight, &no_memory);
    flight_discard(flight);
}

static void note_death(struct pool *pool, const struct worker *worker, int status,
                       const struct flight *flight, bool again)
{
    char end[160];
    describe_end(status, end, sizeof end);
    pool_trace_death(pool, worker, end, flight, again);
}

/* Decides on the task in which the worker died: it is tried again, or its failure is its result. */
static void judge_task(struct pool *pool, struct worker *worker, struct flight *flight, int status)
{
    /* The host kills a worker because of one task, but the worker may have begun the next one by
     * then, which is innocent. */
    uint64_t begun = claim_begun(claim_of(worker));
    bool innocent = worker->killed_at && worker->killed_at != begun + 1;
    bool unwanted = worker->killed_at && flight->is_dropped; /* pool_end_dropped killed it */
    if (!innocent && !unwanted) {
        pool->crashes++;
        flight->attempts++;
    }
    bool again = innocent || flight->attempts <= (uint32_t)pool->work.options.retries;
    if (pool->trace)
        note_death(pool, worker, status, flight, again && !flight->is_dropped);
    if (flight->is_dropped) {
        flight_discard(flight);
    } else if (again) {
        pool->retried++;
        requeue(pool, worker, flight);
    } else {
        pool->done++;
        blame(pool, worker, flight, status);
        flight_discard(flight);
    }
}

/* Whether the worker got as far as its loop over tasks: from there on it counts how long it is
 * busy. */
static bool was_ready(const struct worker *worker)
{
    return atomic_load(&worker->shared->busy_since) || atomic_load(&worker->shared->busy);
}

/* Puts the tasks that the worker had not begun back into the backlog, for other workers. */
static void requeue_all(struct pool *pool, struct worker *worker)
{
    worker->unpublished = 0;
    while (worker->flights.count) {
        struct flight flight = flights_pop_last(&worker->flights);
        if (flight.is_dropped)
            flight_discard(&flight);
        else
            requeue(pool, worker, &flight);
    }
}

/* Decides on all tasks that the dead worker had. */
static void judge(struct pool *pool, struct worker *worker, int status)
{
    uint32_t begun = claim_begun(claim_of(worker));
    bool in_a_task = begun != worker->committed && worker->flights.count > 0;
    worker->failed_starts = was_ready(worker) ? 0 : worker->failed_starts + 1;
    struct flight blamed = {0};
    if (in_a_task)
        blamed = flights_pop(&worker->flights);
    requeue_all(pool, worker);
    if (in_a_task)
        judge_task(pool, worker, &blamed, status);
    else if (pool->trace)
        note_death(pool, worker, status, NULL, false);
}

/* Notes that no worker can be made in this place, for the reason in pool->reason. A pool that has
 * no worker left is broken. */
static void lose(struct pool *pool, struct worker *worker)
{
    int left = 0;
    worker->starting = false;
    worker->is_lost = true;
    /* These were handed out before it turned out that the worker cannot be made. */
    requeue_all(pool, worker);
    pool_empty_place(pool, worker);
    for (int i = 0; i < pool->work.options.jobs; i++)
        left += !pool->workers[i].is_lost;
    if (!left)
        pool->broken = true;
    else
        log_message(LOG_LEVEL_WARN, "lk.invoker: %s; %d of %d workers left", pool->reason, left,
                    pool->work.options.jobs);
}

/* Makes another worker in this place. */
static void replace(struct pool *pool, struct worker *worker)
{
    pool_empty_place(pool, worker);
    if (!pool->kind->replace(pool, worker))
        lose(pool, worker);
}

/* --- the template --- */

void pool_learn_pids(struct pool *pool)
{
    for (int i = 0; i < pool->work.options.jobs; i++) {
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
            lose(pool, worker);
        }
    }
}

/* The template has ended, so that no worker can be made any more. */
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
    for (int i = 0; i < pool->work.options.jobs; i++)
        if (pool->workers[i].starting)
            lose(pool, &pool->workers[i]);
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

/* --- new workers --- */

void pool_refill(struct pool *pool)
{
    for (int i = 0; i < pool->work.options.jobs; i++)
        if (pool->workers[i].is_lost &&
            pool->kind->can_replace(pool)) { /* threads are never lost */
            pool->workers[i].is_lost = false;
            pool->workers[i].failed_starts = 0;
            pool->broken = false;
            replace(pool, &pool->workers[i]);
        }
}

/* Takes in the last of what a dead worker sent, decides on its tasks, and replaces it. */
static void bury(struct pool *pool, struct worker *worker, int status)
{
    pool_drain(pool, worker, 0);
    pool_flush_output(worker);
    progress_drop_worker((int)(worker - pool->workers) + 1);
    if (worker->pidfd >= 0)
        close(worker->pidfd);
    worker->pidfd = -1;
    worker->pid = 0;
    worker->partial_frame.length = 0;
    worker->busy_before += (double)atomic_load(&worker->shared->busy) * 1e-9;
    judge(pool, worker, status);
    segments_free(&worker->lent);
    segments_free(&worker->grants);
    if (worker->failed_starts < FAILED_STARTS_MAX) {
        replace(pool, worker);
        return;
    }
    char end[160];
    describe_end(status, end, sizeof end);
    snprintf(pool->reason, sizeof pool->reason,
             "workers cannot start: %d in a row ended before they were ready, the last by %s",
             worker->failed_starts, end);
    lose(pool, worker);
}

void pool_check_deaths(struct pool *pool)
{
    for (int i = 0; i < pool->work.options.jobs; i++) {
        struct worker *worker = &pool->workers[i];
        siginfo_t end = {0};
        int status = STATUS_LOST;
        if (!worker->pid)
            continue;
        /* With ECHILD the worker is dead, too: the program ignores SIGCHLD, so it was reaped. */
        bool lost = waitid(P_PID, (id_t)worker->pid, &end, WEXITED | WNOHANG | WNOWAIT) < 0;
        if (lost ? errno != ECHILD : end.si_pid != worker->pid)
            continue;
        if (!lost) {
            /* The worker is not reaped yet, so the process group still is the one that it made. */
            if (end.si_code != CLD_EXITED)
                kill(-worker->pid, SIGKILL);
            waitpid(worker->pid, &status, 0);
        }
        bury(pool, worker, status);
    }
}
