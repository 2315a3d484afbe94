/* What always holds: the limit on memory bounds Lua's heap only while a task runs; between tasks
 * any allocation is allowed, so that a result or an error can always be sent. `task_since` is the
 * time at which the task would have begun had it never waited for the host; it is 0 while no task
 * runs or the task waits. The timer is set exactly while `task_since` is not 0. */
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

/* What this worker shares with the host, for the signal handler. */
static struct worker_shared *shared;

/* The memory that Lua has allocated in this worker, beyond what it inherited. */
static struct {
    lua_Alloc allocate;
    void *context;
    int64_t held, limit; /* bytes */
    int64_t collected;   /* `held` after the last collection that limits_end_task asked for */
    bool in_task, refused;
} heap;

static uint64_t spent; /* nanoseconds that the task had run before it began to wait for the host */

/* The bytes that a block takes in the C library's heap, its header included. */
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
        /* Lua collects garbage, asks once more, and raises an error if it is refused again. */
        return NULL;
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
    /* The task may have ended while the signal was on its way. */
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

/* Starts the timer of a task that has run for `already` nanoseconds. */
static void start_clock(const struct worker_site *site, uint64_t already)
{
    uint64_t limit = timeout_nanoseconds(&site->workplace->options);
    atomic_store_explicit(&shared->task_since, clock_nanoseconds() - already, memory_order_release);
    /* The timer counts microseconds. With one more, the time is never rounded down to 0, which
     * would turn the timer off. */
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
    /* The garbage of earlier tasks must not make a later task fail, nor cause the full collection
     * by which Lua tries to avoid that. */
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
