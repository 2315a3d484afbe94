/* What always holds: the limit on memory lets Lua grow only while a task runs within it; between
 * tasks everything is allowed, so that a result or an error can always be told. `task_since` is the
 * time at which the task would have begun had it never waited for the host, 0 when none runs or it
 * waits, and the timer is set if and only if `task_since` is. */
#include "worker/worker_limits.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/util.h"
#include "worker/failure.h"
#include "worker/task.h"
#include "worker/worker_shared.h"
#include "worker/worker_site.h"
#include "worker/workplace.h"

static struct worker_shared *shared; /* of this worker, for the signal handler */

/* What Lua holds of its own, beyond what was inherited. */
static struct {
    lua_Alloc allocate;
    void *context;
    int64_t held, limit;
    int64_t collected; /* held after the last collection of ours */
    bool in_task, refused;
} heap;

static uint64_t spent; /* nanoseconds, by the task that waits */

/* What a block takes in the C library's heap, with its header. */
static int64_t block_size(size_t size)
{
    return size == 0 ? 0 : size <= 24 ? 32 : (int64_t)((size + 8 + 15) & ~(size_t)15);
}

static void *allocate(void *unused, void *block, size_t old, size_t size)
{
    (void)unused;
    int64_t growth = block_size(size) - (block ? block_size(old) : 0);
    if (growth > 0 && heap.in_task && heap.held + growth > heap.limit) {
        heap.refused = true;
        return NULL; /* Lua collects, asks once more, and then raises */
    }
    void *made = heap.allocate(heap.context, block, old, size);
    if (made || size == 0)
        heap.held += growth;
    return made;
}

static void set_timer(uint64_t nanoseconds)
{
    struct itimerval timer = {0};
    timer.it_value.tv_sec = (time_t)(nanoseconds / 1000000000u);
    timer.it_value.tv_usec = (suseconds_t)(nanoseconds % 1000000000u / 1000u);
    setitimer(ITIMER_REAL, &timer, NULL);
}

static void on_timer(int signal_number)
{
    (void)signal_number;
    if (!atomic_load_explicit(&shared->task_since, memory_order_relaxed))
        return;
    atomic_store_explicit(&shared->verdict, VERDICT_TIMEOUT, memory_order_release);
    kill(getpid(), SIGKILL);
}

void limits_enter_worker(struct worker_site *site, lua_State *L)
{
    const struct pool_options *options = &site->workplace->options;
    shared = site->shared;
    if (options->timeout > 0)
        signal(SIGALRM, on_timer);
    if (options->memory_limit) {
        heap.limit = (int64_t)options->memory_limit;
        heap.allocate = lua_getallocf(L, &heap.context);
        lua_setallocf(L, allocate, NULL);
    }
}

static void start_clock(const struct worker_site *site, uint64_t already)
{
    uint64_t limit = timeout_nanoseconds(&site->workplace->options);
    atomic_store_explicit(&shared->task_since, clock_nanoseconds() - already, memory_order_release);
    set_timer(already < limit ? limit - already + 1000 : 1000);
}

static void stop_clock(void)
{
    set_timer(0);
    atomic_store_explicit(&shared->task_since, 0, memory_order_release);
}

void limits_begin_task(const struct worker_site *site)
{
    heap.in_task = true;
    if (site->workplace->options.timeout > 0)
        start_clock(site, 0);
}

void limits_end_task(const struct worker_site *site, lua_State *L)
{
    if (site->workplace->options.timeout > 0)
        stop_clock();
    heap.in_task = false;
    /* Garbage of earlier tasks must not make one fail, nor bring on the full collection that comes
     * before an error. */
    if (heap.held > heap.limit / 2 && heap.held - heap.collected > heap.limit / 8) {
        lua_gc(L, LUA_GCSTEP, 0);
        heap.collected = heap.held;
    }
}

void limits_pause(const struct worker_site *site)
{
    spent = 0;
    if (site->workplace->options.timeout <= 0)
        return;
    uint64_t since = atomic_load_explicit(&shared->task_since, memory_order_relaxed);
    if (!since)
        return;
    stop_clock();
    spent = clock_nanoseconds() - since;
}

void limits_resume(const struct worker_site *site)
{
    if (spent)
        start_clock(site, spent);
    spent = 0;
}

void limits_report_memory(struct worker_site *site, lua_State *L, const struct task *task)
{
    const struct pool_options *options = &site->workplace->options;
    if (options->retries > 0) {
        atomic_store_explicit(&shared->verdict, VERDICT_MEMORY, memory_order_release);
        fflush(stdout);
        fflush(stderr);
        _exit(EXIT_FAILURE);
    }
    char text[FAILURE_TEXT];
    const struct failed_task failed = {.index = task->index,
                                       .is_future = task->ordinal == 0,
                                       .attempts = 1,
                                       .worker = site->place + 1};
    describe_memory(text, options, &failed);
    struct failure failure = {.message = text, .reason = "memory", .status = -1};
    site->out.length = 0;
    failure_encode(L, &failure, &site->out);
}

bool limits_hit_memory(void)
{
    return heap.refused;
}
