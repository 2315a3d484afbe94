/* A worker died: who is to blame, what is run again.
 *
 * What always holds: a worker publishes that it begins a task before it touches it, and the result
 * whole afterwards. So when it is dead and its ring is drained, the tasks it began are one more
 * than the results it gave if it died in a task, which is then its oldest flight; otherwise nobody
 * is to blame. All flights behind that one were never begun. */
#include "pool/pool_state.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "screen/log.h"
#include "pool/pool_timeline.h"
#include "screen/progress.h"

/* Workers in a row that may die in one place before they are ready for a task. */
#define FRUITLESS_LIMIT 8

/* What waitpid gives where the program we live in has SIGCHLD ignored. */
#define STATUS_LOST (-1)

static const char *likely_cause(int signal_number)
{
    return signal_number == SIGKILL   ? "; the kernel's out-of-memory killer is a usual cause"
           : signal_number == SIGSEGV ? "; invalid memory access in C code"
           : signal_number == SIGBUS
               ? "; memory for shared tensors ran out, or a mapped file shrank"
           : signal_number == SIGABRT ? "; C code called abort"
                                      : "";
}

static void describe_end(int status, char *text, size_t size)
{
    if (status == STATUS_LOST)
        snprintf(text, size, "how it ended is not known, because the program ignores SIGCHLD");
    else if (WIFSIGNALED(status))
        snprintf(text, size, "SIG%s%s", sigabbrev_np(WTERMSIG(status)),
                 likely_cause(WTERMSIG(status)));
    else
        snprintf(text, size, "exit status %d", WEXITSTATUS(status));
}

static void describe_task(char *text, size_t size, const struct flight *flight)
{
    snprintf(text, size, flight->is_future ? "submitted task %llu" : "task %llu",
             (unsigned long long)flight->index);
}

/* What retries did, or would do. */
static void describe_retries(char *text, size_t size, const struct pool_options *options,
                             const struct flight *flight)
{
    if (options->retries == 0)
        snprintf(text, size, "; retries = 1 would run it again");
    else
        snprintf(text, size, ", the last of %u times it was tried", flight->attempts);
}

void describe_memory(char text[FAILURE_TEXT], const struct pool_options *options,
                     const struct flight *flight, int worker)
{
    char task[48], again[64], limit[64] = "memory than there is";
    describe_task(task, sizeof task, flight);
    describe_retries(again, sizeof again, options, flight);
    if (options->memory_limit)
        snprintf(limit, sizeof limit, "than its memory_limit of %zu bytes", options->memory_limit);
    snprintf(text, FAILURE_TEXT, "%s needed more %s on worker %d%s", task, limit, worker, again);
}

/* The failure that the blamed task gets as its result. */
static void blame(struct pool *pool, struct worker *worker, const struct flight *flight, int status)
{
    char text[FAILURE_TEXT], end[160], task[48], again[64];
    int number = (int)(worker - pool->workers) + 1;
    uint32_t verdict = atomic_load_explicit(&worker->shared->verdict, memory_order_acquire);
    struct failure failure = {.message = text, .status = -1, .reason = "signal"};
    describe_task(task, sizeof task, flight);
    describe_retries(again, sizeof again, &pool->options, flight);
    if (verdict == VERDICT_TIMEOUT) {
        failure.reason = "timeout";
        snprintf(text, sizeof text, "%s ran longer than its timeout of %g seconds on worker %d%s",
                 task, pool->options.timeout, number, again);
    } else if (verdict == VERDICT_MEMORY) {
        failure.reason = "memory";
        describe_memory(text, &pool->options, flight, number);
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

/* The flight goes back to the front of the queue with its bytes, which the ring still has. */
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

/* The task it died in: tried again, or reported. */
static void judge_task(struct pool *pool, struct worker *worker, struct flight *flight, int status)
{
    /* The host ends a worker for what one task does; it may have begun the next one meanwhile. */
    uint64_t begun = claim_begun(claim_of(worker));
    bool innocent = worker->condemned && worker->condemned != begun + 1;
    bool unwanted = worker->condemned && flight->is_dropped; /* see pool_end_dropped */
    if (!innocent && !unwanted) {
        pool->crashes++;
        flight->attempts++;
    }
    bool again = innocent || flight->attempts <= (uint32_t)pool->options.retries;
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

/* Whether it got as far as its loop: it counts its time from there on. */
static bool was_ready(const struct worker *worker)
{
    return atomic_load(&worker->shared->busy_since) || atomic_load(&worker->shared->busy);
}

/* What it had not begun is for others. */
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

static void judge(struct pool *pool, struct worker *worker, int status)
{
    uint32_t begun = claim_begun(claim_of(worker));
    bool in_a_task = begun != worker->committed && worker->flights.count > 0;
    worker->fruitless = was_ready(worker) ? 0 : worker->fruitless + 1;
    struct flight blamed = {0};
    if (in_a_task)
        blamed = flights_pop(&worker->flights);
    requeue_all(pool, worker);
    if (in_a_task)
        judge_task(pool, worker, &blamed, status);
    else if (pool->trace)
        note_death(pool, worker, status, NULL, false);
}

void pool_lose(struct pool *pool, struct worker *worker)
{
    int left = 0;
    worker->starting = false;
    worker->gone = true;
    requeue_all(pool, worker); /* handed out before it could be made */
    pool_empty_place(pool, worker);
    for (int i = 0; i < pool->options.jobs; i++)
        left += !pool->workers[i].gone;
    if (!left)
        pool->broken = true;
    else
        log_message(LOG_LEVEL_WARN, "lk.invoker: %s; %d of %d workers left", pool->reason, left,
                    pool->options.jobs);
}

void pool_refill(struct pool *pool)
{
    for (int i = 0; i < pool->options.jobs && (pool->spawn || pool->template_fd >= 0); i++)
        if (pool->workers[i].gone) {
            pool->workers[i].gone = false;
            pool->workers[i].fruitless = 0;
            pool->broken = false;
            pool_replace(pool, &pool->workers[i]);
        }
}

static void bury(struct pool *pool, struct worker *worker, int status)
{
    pool_drain(pool, worker, 0);
    pool_flush_output(worker);
    progress_drop_worker((int)(worker - pool->workers) + 1);
    if (worker->pidfd >= 0)
        close(worker->pidfd);
    worker->pidfd = -1;
    worker->pid = 0;
    worker->partial.length = 0;
    worker->busy_before += (double)atomic_load(&worker->shared->busy) * 1e-9;
    judge(pool, worker, status);
    segments_free(&worker->held);
    segments_free(&worker->grants);
    if (worker->fruitless < FRUITLESS_LIMIT) {
        pool_replace(pool, worker);
        return;
    }
    char end[160];
    describe_end(status, end, sizeof end);
    snprintf(pool->reason, sizeof pool->reason,
             "workers cannot start: %d in a row ended before they were ready, the last by %s",
             worker->fruitless, end);
    pool_lose(pool, worker);
}

void pool_check_deaths(struct pool *pool)
{
    for (int i = 0; i < pool->options.jobs; i++) {
        struct worker *worker = &pool->workers[i];
        siginfo_t end = {0};
        int status = STATUS_LOST;
        if (!worker->pid)
            continue;
        bool lost = waitid(P_PID, (id_t)worker->pid, &end, WEXITED | WNOHANG | WNOWAIT) < 0;
        if (lost ? errno != ECHILD : end.si_pid != worker->pid)
            continue;
        if (!lost) {
            if (end.si_code != CLD_EXITED) /* not reaped yet: the group is its own */
                kill(-worker->pid, SIGKILL);
            waitpid(worker->pid, &status, 0);
        }
        bury(pool, worker, status);
    }
}
