/* What the host does besides handing out tasks and delivering results: it takes in news, gives work
 * to workers that idle, and sleeps. It sleeps in one poll on everything that can happen: the bell
 * that workers ring, their deaths, their output, the template, signals. Whatever has no descriptor,
 * such as a deadline or a progress display, bounds how long it sleeps. */
#include "pool/pool_watch.h"

#include <poll.h>

#include "base/channel.h"
#include "base/util.h"
#include "machine/signals.h"
#include "memory/segment.h"
#include "pool/pool_collect.h"
#include "pool/pool_dispatch.h"
#include "pool/pool_fault.h"
#include "pool/pool_grant.h"
#include "pool/pool_limits.h"
#include "pool/pool_output.h"
#include "pool/pool_state.h"
#include "pool/pool_timeline.h"
#include "pool/pool_tokens.h"
#include "screen/progress.h"
#include "worker/worker_shared.h"

/* Results of tasks shorter than SHORT_TASK may wait QUIET_TIME before a sleeping host is woken. */
#define SHORT_TASK 20000.0  /* nanoseconds */
#define QUIET_TIME 100000.0 /* nanoseconds */
/* A worker that has begun nothing for this long sits in a long task, or does not wake: the tasks
 * that wait there are given to others. It is longer than the time slice for which a process that is
 * ready may have to wait for its CPU. */
#define STUCK_TIME 10000000u /* nanoseconds */

static bool is_idle(const struct pool *pool, const struct worker *worker)
{
    uint64_t claim = claim_of(worker);
    return worker_is_usable(worker) && worker_unbegun(worker, claim) == 0 &&
           !worker_is_busy(worker) && worker_may_run(pool, worker);
}

static bool is_stuck(const struct worker *worker, uint64_t now)
{
    uint64_t since = worker->begun_time;
    if (!worker_is_busy(worker) && worker->given_time > since)
        since = worker->given_time;
    return now > since + STUCK_TIME;
}

/* Where a worker idles, takes back tasks that others have not begun, for it: all of them from a
 * worker that sits in a long task or does not wake, else half. Says whether to look again soon. */
static bool balance(struct pool *pool, uint64_t now)
{
    bool someone_idle = false, look_again = false;
    for (int i = 0; i < pool->work.options.jobs && !someone_idle; i++)
        someone_idle = is_idle(pool, &pool->workers[i]);
    for (int i = 0; someone_idle && i < pool->work.options.jobs; i++) {
        struct worker *worker = &pool->workers[i];
        uint32_t waiting = worker_is_usable(worker) ? worker_unbegun(worker, claim_of(worker)) : 0;
        if (!waiting)
            continue;
        bool busy = worker_is_busy(worker);
        /* A sleeping worker that has a single task keeps it: it is waking up for it. */
        uint32_t kept = waiting == 1 && !busy ? 1 : waiting / 2;
        /* Look again soon: this worker may fail to wake up, and so may the one that gets its
         * tasks. */
        look_again = look_again || !busy;
        if (is_stuck(worker, now)) {
            worker->overdue = busy ? OVERDUE_BUSY : OVERDUE_IDLE;
            pool_take_back(pool, worker, 0);
        } else if (!pool_may_pull(pool) && waiting * pool->mean > QUIET_TIME) {
            pool_take_back(pool, worker, kept);
        } else {
            look_again = true;
        }
    }
    return look_again;
}

/* Measures how long tasks take, from the time that the workers say they were busy. */
static void measure(struct pool *pool, uint64_t now)
{
    uint64_t tasks = 0, time = 0;
    for (int i = 0; i < pool->work.options.jobs; i++) {
        struct worker *worker = &pool->workers[i];
        struct worker_shared *shared = worker->shared;
        uint32_t begun = claim_begun(claim_of(worker));
        if (begun == worker->begun_seen)
            continue;
        uint64_t since = atomic_load_explicit(&shared->busy_since, memory_order_relaxed);
        uint64_t busy = atomic_load_explicit(&shared->busy, memory_order_relaxed);
        if (since && now > since)
            busy += now - since;
        tasks += begun - worker->begun_seen;
        time += busy > worker->busy_seen ? busy - worker->busy_seen : 0;
        worker->begun_seen = begun;
        worker->begun_time = now;
        worker->overdue = NOT_OVERDUE;
        worker->busy_seen = busy;
    }
    if (!tasks)
        return;
    double sample = (double)time / (double)tasks;
    pool->mean = pool->mean > 0 ? (3 * pool->mean + sample) / 4 : sample;
    if (pool->mean < 1)
        pool->mean = 1;
}

static void show_progress(struct pool *pool)
{
    if (!pool->progress || !pool->map)
        return;
    struct progress_state state = {.finished = pool->map->delivered};
    uint64_t running = 0, waiting = pool->backlog.count;
    for (int i = 0; i < pool->work.options.jobs; i++) {
        const struct worker *worker = &pool->workers[i];
        uint64_t claim = claim_of(worker);
        waiting += worker_unbegun(worker, claim);
        running += claim_begun(claim) != worker->committed && worker_is_busy(worker);
    }
    uint64_t out = pool->map->pulled;
    state.dispatched = waiting;
    state.in_progress = running;
    state.finished = out > waiting + running ? out - waiting - running : 0;
    progress_set(pool->progress, &state);
}

/* Whether results may be taken in that are not due yet. Their bound does not hold while tasks wait
 * for a worker: the task that is due may be among them while every worker waits for room. Nothing
 * new is pulled meanwhile, so only results of tasks that are out already exceed the bound. */
static bool may_store(const struct pool *pool)
{
    return pool->stored_bytes < MAX_STORED || pool->backlog.count > 0;
}

void pool_look_around(struct pool *pool)
{
    if (!pool->started)
        return;
    uint64_t now = clock_nanoseconds();
    uint64_t tick = clock_coarse();
    pool_learn_pids(pool);
    if (tick != pool->tick) /* between two ticks of the clock the poll tells of deaths */
        pool_check_deaths(pool);
    pool->tick = tick;
    measure(pool, now);
    uint32_t smallest = MAX_WINDOW;
    for (int i = 0; i < pool->work.options.jobs; i++) {
        struct worker *worker = &pool->workers[i];
        pool_grant_room(pool, worker);
        /* A ring that fills up would make its worker wait until its results are due; and log
         * records that the user should see now may lie behind results that are not due. */
        uint64_t head = atomic_load_explicit(&worker->shared->results.head, memory_order_acquire);
        uint32_t news = atomic_load_explicit(&worker->shared->news, memory_order_acquire);
        bool is_filling = head - worker->results.at > RING_SIZE - frame_long_size(RING_SIZE / 4);
        if ((is_filling || news != worker->news_seen || segments_crowd(OUTBOUND)) &&
            may_store(pool)) {
            worker->news_seen = news;
            pool_drain(pool, worker, 0);
        }
        if (worker->flights.count && worker->window < smallest)
            smallest = worker->window;
    }
    if (pool->work.options.timeout > 0 || pool->work.options.memory_limit)
        pool_check_limits(pool, now);
    if (pool->limited)
        pool_trade_tokens(pool);
    balance(pool, now);
    pool_feed_backlog(pool);
    show_progress(pool);
    if (pool->trace)
        pool_trace_collect(pool);
    pool->until_look = smallest / 4 > 256 ? 256 : smallest / 4 + 1;
}

void pool_note(struct pool *pool)
{
    for (int i = 0; i < pool->work.options.jobs; i++) {
        struct worker *worker = &pool->workers[i];
        worker->head_noted =
            atomic_load_explicit(&worker->shared->results.head, memory_order_acquire);
    }
}

static bool has_news(void *context)
{
    const struct pool *pool = context;
    for (int i = 0; i < pool->work.options.jobs; i++) {
        const struct worker *worker = &pool->workers[i];
        const struct worker_shared *shared = worker->shared;
        if (atomic_load_explicit(&shared->results.head, memory_order_acquire) !=
                worker->head_noted ||
            (!worker->grant_deferred &&
             atomic_load_explicit(&shared->asked, memory_order_acquire) &&
             !atomic_load_explicit(&shared->granted, memory_order_acquire)))
            return true;
    }
    return false;
}

/* Four descriptors of the pool, then three of each worker; wait_for_news finds them by place. */
static nfds_t fill_polled(struct pool *pool)
{
    nfds_t count = 0;
    pool->polled[count++] = (struct pollfd){.fd = pool->work.bell_fd, .events = POLLIN};
    pool->polled[count++] = (struct pollfd){.fd = pool->template_fd, .events = POLLIN};
    pool->polled[count++] = (struct pollfd){.fd = signal_descriptor(), .events = POLLIN};
    pool->polled[count++] = (struct pollfd){.fd = pool_token_descriptor(pool), .events = POLLIN};
    for (int i = 0; i < pool->work.options.jobs; i++) {
        const struct worker *worker = &pool->workers[i];
        pool->polled[count++] = (struct pollfd){.fd = worker->pidfd, .events = POLLIN};
        pool->polled[count++] = (struct pollfd){.fd = worker->output_fd[0], .events = POLLIN};
        pool->polled[count++] = (struct pollfd){.fd = worker->output_fd[1], .events = POLLIN};
    }
    return count;
}

/* How many milliseconds the host may sleep, because some things have no descriptor and need a look
 * now and then; -1: no limit. */
static int sleep_limit(struct pool *pool, int timeout, bool short_sleep)
{
    int limit = progress_tick();
    bool look_again = balance(pool, clock_nanoseconds());
    if (pool->backlog.count)
        pool_feed_backlog(pool);
    for (int i = 0; i < pool->work.options.jobs; i++)
        if (pool->workers[i].pid && pool->workers[i].pidfd < 0 && (limit < 0 || limit > 20))
            limit = 20;
    if ((look_again || short_sleep) && (limit < 0 || limit > 1))
        limit = 1;
    int tick = pool_limits_tick(pool);
    if (tick >= 0 && (limit < 0 || limit > tick))
        limit = tick;
    int token_tick = pool_token_tick(pool);
    if (token_tick >= 0 && (limit < 0 || limit > token_tick))
        limit = token_tick;
    /* In a stock Lua the handler of a signal is the interpreter's. It may run just before the poll,
     * and then it does not end the poll. */
    if (signal_descriptor() < 0 && (limit < 0 || limit > 200))
        limit = 200;
    return timeout >= 0 && (limit < 0 || timeout < limit) ? timeout : limit;
}

static uint32_t tasks_out(const struct pool *pool)
{
    uint32_t count = 0;
    for (int i = 0; i < pool->work.options.jobs; i++)
        count += pool->workers[i].flights.count;
    return count;
}

static void wait_for_news(struct pool *pool, int timeout)
{
    bool short_tasks = pool->mean > 0 && pool->mean < SHORT_TASK;
    uint32_t quiet = short_tasks ? (uint32_t)(QUIET_TIME / pool->mean) : 1;
    bool short_sleep = short_tasks;
    for (int i = 0; i < pool->work.options.jobs; i++) {
        struct worker *worker = &pool->workers[i];
        pool_release_results(worker);
        /* A worker may have read the old value just now and stay quiet once more, so the first
         * sleep after a change is short. */
        short_sleep = short_sleep ||
                      atomic_load_explicit(&worker->shared->quiet, memory_order_relaxed) != quiet;
        atomic_store_explicit(&worker->shared->quiet, quiet, memory_order_relaxed);
    }
    if (pool->limited && pool_trade_tokens(pool))
        return;
    int limit = sleep_limit(pool, timeout, short_sleep);
    /* Many short results are taken in faster in batches, so the host does not look for each of
     * them. */
    if (limit != 0 && (!short_tasks || tasks_out(pool) <= 4) &&
        patience_look(&pool->patience, has_news, pool))
        return;
    doorbell_announce(&pool->work.shared->bell);
    if (has_news(pool)) {
        doorbell_cancel(&pool->work.shared->bell);
        return;
    }
    nfds_t count = fill_polled(pool);
    int ready = poll(pool->polled, count, limit);
    if (ready > 0 && pool->polled[0].revents)
        doorbell_wait(&pool->work.shared->bell, pool->work.bell_fd);
    else
        doorbell_cancel(&pool->work.shared->bell);
    if (ready <= 0)
        return;
    if (pool->polled[1].revents)
        pool_template_news(pool);
    bool died = false;
    for (int i = 0; i < pool->work.options.jobs; i++) {
        const struct pollfd *polled = &pool->polled[4 + 3 * i];
        died = died || polled[0].revents;
        if (polled[1].revents || polled[2].revents)
            pool_read_output(&pool->workers[i]);
    }
    if (died)
        pool_check_deaths(pool);
}

void pool_wait(struct pool *pool, int timeout)
{
    uint64_t begun = pool->trace ? clock_nanoseconds() : 0;
    wait_for_news(pool, timeout);
    if (pool->trace)
        pool_trace_wait(pool, begun);
}
