/* Limits on what tasks may take, on the host's side.
 *
 * A worker bounds itself: a timer ends it, an allocator refuses what Lua asks for
 * (worker_limits.c). The host ends those where that does not work: workers that are stopped or hold
 * the timer's signal back, and those that take memory outside of Lua's heap. The memory that counts
 * as a worker's own is what it alone has written: its private pages, and the room in the region
 * that was granted to it. Memory that it shares with others, inherited or of the region, costs
 * nothing more and does not count. */
#include "pool/pool_limits.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/util.h"
#include "memory/region.h"
#include "memory/segment.h"
#include "pool/pool_state.h"
#include "worker/worker_shared.h"
#include "worker/workplace.h"

/* How many nanoseconds late a task is before the host stops relying on the worker's own timer. */
#define GRACE ((uint64_t)50 * 1000 * 1000)
/* Looking at the memory of workers takes time: at most one part in LOOK_SHARE of all time is spent
 * on it, and it is done at most once in LOOK_INTERVAL nanoseconds. */
#define LOOK_SHARE    20
#define LOOK_INTERVAL ((uint64_t)20 * 1000 * 1000)

static void end_worker(struct worker *worker, uint32_t begun, enum worker_verdict verdict)
{
    worker->killed_at = (uint64_t)begun + 1;
    atomic_store_explicit(&worker->shared->verdict, verdict, memory_order_release);
    kill(worker->pid, SIGKILL);
}

/* Whether a signal has stopped the worker for longer than a task may run. Between tasks, and while
 * it waits for the host, no task's time is counted; but a stopped worker will not go on by itself.
 */
static bool is_stopped(const struct pool *pool, struct worker *worker, uint64_t now)
{
    uint64_t limit = timeout_nanoseconds(&pool->work.options) + GRACE;
    siginfo_t stop = {0};
    bool stopped = worker->flights.count > 0 &&
                   waitid(P_PID, (id_t)worker->pid, &stop, WSTOPPED | WNOHANG | WNOWAIT) == 0 &&
                   stop.si_pid == worker->pid;
    if (!stopped)
        worker->stopped_since = 0;
    else if (!worker->stopped_since)
        worker->stopped_since = now;
    return stopped && now - worker->stopped_since > limit;
}

static void check_time(const struct pool *pool, struct worker *worker, uint64_t now)
{
    struct worker_shared *shared = worker->shared;
    uint64_t since = atomic_load_explicit(&shared->task_since, memory_order_acquire);
    uint32_t begun = claim_begun(claim_of(worker));
    /* `since` is read twice, so that `begun` counts the same task. */
    bool late = since && now > since &&
                now - since > timeout_nanoseconds(&pool->work.options) + GRACE &&
                since == atomic_load_explicit(&shared->task_since, memory_order_acquire);
    if (late || is_stopped(pool, worker, now))
        end_worker(worker, begun, VERDICT_TIMEOUT);
}

/* The number in a line "Name:   123 kB", in bytes; 0 when it is another line. */
static size_t read_field(const char *line, const char *name)
{
    size_t length = strlen(name);
    return strncmp(line, name, length) == 0 ? (size_t)strtoull(line + length, NULL, 10) << 10 : 0;
}

/* An upper bound of the memory that a process has written, which is cheap to ask for. */
static size_t resident_bytes(pid_t pid)
{
    char path[40], line[128];
    size_t bytes = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file))
        bytes += read_field(line, "RssAnon:") + read_field(line, "RssShmem:") +
                 read_field(line, "VmSwap:");
    if (file)
        fclose(file);
    return bytes;
}

/* The memory that this process alone has written, apart from the host's region. */
static size_t private_bytes(pid_t pid)
{
    char path[40], line[512], permissions[5];
    size_t bytes = 0;
    uintptr_t start;
    bool counts = true;
    snprintf(path, sizeof path, "/proc/%d/smaps", (int)pid);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file)) {
        if (sscanf(line, "%" SCNxPTR "-%*x %4s", &start, permissions) == 2)
            counts = permissions[3] == 'p' || !region_owns((void *)start);
        else if (counts)
            bytes += read_field(line, "Private_Dirty:") + read_field(line, "Swap:");
    }
    if (file)
        fclose(file);
    return bytes;
}

/* Whether `bytes` are over the limit. A worker may have a little more, for what every process needs
 * and for the gaps in its heap, so that Lua's allocator is the first to notice. */
static bool is_over(const struct pool *pool, size_t bytes)
{
    size_t limit = pool->work.options.memory_limit, allowance = limit / 16 + ((size_t)4 << 20);
    return bytes > limit && bytes - limit > allowance;
}

static size_t granted_bytes(const struct worker *worker)
{
    size_t bytes = 0;
    for (const struct segment *segment = worker->grants; segment; segment = segment->next)
        bytes += region_segment_bytes(segment->address);
    return bytes;
}

static void check_memory(const struct pool *pool, struct worker *worker)
{
    size_t granted = granted_bytes(worker);
    uint32_t begun = claim_begun(claim_of(worker));
    /* The exact figure takes long to get. Only the task that ran all the while is to blame. */
    if (is_over(pool, granted + resident_bytes(worker->pid)) &&
        is_over(pool, granted + private_bytes(worker->pid)) &&
        begun == claim_begun(claim_of(worker)))
        end_worker(worker, begun, VERDICT_MEMORY);
}

bool pool_may_grant(const struct pool *pool, struct worker *worker, size_t bytes)
{
    if (!pool->work.options.memory_limit || worker->killed_at || !worker->pid ||
        !is_over(pool, granted_bytes(worker) + bytes))
        return true;
    end_worker(worker, claim_begun(claim_of(worker)), VERDICT_MEMORY);
    return false;
}

void pool_check_limits(struct pool *pool, uint64_t now)
{
    bool look_at_memory = pool->work.options.memory_limit && now >= pool->memory_look;
    for (int i = 0; i < pool->work.options.jobs; i++) {
        struct worker *worker = &pool->workers[i];
        if (!worker->pid || worker->killed_at)
            continue;
        if (pool->work.options.timeout > 0)
            check_time(pool, worker, now);
        if (look_at_memory && !worker->killed_at)
            check_memory(pool, worker);
    }
    if (look_at_memory) {
        uint64_t then = clock_nanoseconds(), pause = (then - now) * LOOK_SHARE;
        pool->memory_look = then + (pause > LOOK_INTERVAL ? pause : LOOK_INTERVAL);
    }
}

int pool_limits_tick(const struct pool *pool)
{
    return pool->work.options.memory_limit ? 20 : pool->work.options.timeout > 0 ? 50 : -1;
}
