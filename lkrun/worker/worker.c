/* What a worker does: takes tasks from its ring, runs them, puts results on the other ring. Whether
 * it is a process (worker_process.c) or a thread (worker_thread.c) is the same here.
 *
 * The order of its steps is what makes blame exact: claim a task (the host sees it as begun), run
 * it, publish its result whole, give back the task's bytes. A worker that dies in between is blamed
 * for the claimed task if and only if its result was not published. */
#include "worker/worker.h"

#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

#include "base/channel.h"
#include "base/random.h"
#include "base/util.h"
#include "machine/signals.h"
#include "memory/collector.h"
#include "memory/mapping.h"
#include "memory/region.h"
#include "memory/region_warm.h"
#include "memory/storage.h"
#include "screen/log.h"
#include "screen/terminal_stdio.h"
#include "screen/trace.h"
#include "value/codec_scalar.h"
#include "worker/task.h"
#include "worker/worker_limits.h"
#include "worker/worker_shared.h"
#include "worker/worker_site.h"
#include "worker/workplace.h"

/* A worker asks its output pipes whether they hold unread bytes at most once in this many ticks of
 * the clock, some ten microseconds. */
#define OUTPUT_TICKS 50000

static uint64_t ticks(void)
{
#if defined(__x86_64__)
    return __rdtsc();
#else
    return clock_nanoseconds() * 2; /* as a clock of 2 GHz would count */
#endif
}

/* Wakes the host if it sleeps. */
static void announce(struct worker_site *site)
{
    site->unannounced = 0;
    doorbell_ring(&site->workplace->shared->bell, site->workplace->bell_fd);
}

/* Sleeps until the host rings; `ready` says whether what it waits for is there. */
static void wait_for(struct worker_site *site, bool (*ready)(void *site))
{
    struct worker_shared *shared = site->shared;
    bool timed = site->workplace->options.timeout > 0;
    if (timed)
        limits_pause(site);
    while (!patience_look(&site->patience, ready, site)) {
        doorbell_announce(&shared->bell);
        if (ready(site)) {
            doorbell_cancel(&shared->bell);
            break;
        }
        doorbell_wait(&shared->bell, site->bell_fd);
        if (atomic_load_explicit(&shared->stop, memory_order_acquire) > 1) /* leave at once */
            _exit(0);
    }
    if (timed)
        limits_resume(site);
}

static bool has_room(void *context)
{
    struct worker_site *site = context;
    return ring_room(&site->results, site->wanted) >= site->wanted;
}

static void make_room(struct worker_site *site, size_t whole)
{
    if (ring_room(&site->results, whole) >= whole)
        return;
    announce(site);
    site->wanted = whole;
    wait_for(site, has_room);
}

static void put_frame(struct worker_site *site, uint8_t kind, uint8_t flags, const char *bytes,
                      size_t length)
{
    size_t whole = frame_long_size(length);
    make_room(site, whole);
    char *place = ring_frame(&site->results, kind, flags, (uint32_t)length, site->index);
    if (length)
        memcpy(place, bytes, length);
    ring_advance(&site->results, whole);
    ring_publish(&site->results);
}

void worker_post(struct worker_site *site, uint8_t kind, uint8_t flags, const char *bytes,
                 size_t length)
{
    const size_t piece = RING_SIZE / 4;
    for (; length > piece; bytes += piece, length -= piece)
        put_frame(site, RESULT_PART, 0, bytes, piece);
    put_frame(site, kind, flags, bytes, length);
    /* The user is to see these at once, even if results before them are not due yet. */
    if (kind == RESULT_LOG || kind == RESULT_PROGRESS || kind == RESULT_OUTPUT) {
        atomic_fetch_add_explicit(&site->shared->news, 1, memory_order_release);
        announce(site);
    }
}

/* The one scalar that func returned goes from the stack onto the ring. */
static void post_scalar(struct worker_site *site, lua_State *L, uint8_t flags)
{
    struct ring *results = &site->results;
    make_room(site, frame_short_size(CODEC_SCALAR_MAX));
    ring_fetch_to_write(results);
    size_t length = codec_put(L, TASK_MODEL + 1, ring_short_place(results));
    ring_short_frame(results, RESULT_VALUES, flags, length);
    ring_advance(results, frame_short_size(length));
    ring_publish(results);
}

static bool has_grant(void *context)
{
    struct worker_site *site = context;
    return atomic_load_explicit(&site->shared->granted, memory_order_acquire) != 0;
}

/* Gets room for a large tensor of a result: the host owns the region, so the worker asks it. */
static void *place_tensor(void *context, size_t bytes, uint64_t *handle, const char **error)
{
    struct worker_site *site = context;
    struct worker_shared *shared = site->shared;
    atomic_store_explicit(&shared->asked, bytes, memory_order_release);
    announce(site);
    wait_for(site, has_grant);
    uint64_t granted = atomic_load_explicit(&shared->granted, memory_order_acquire);
    atomic_store_explicit(&shared->asked, 0, memory_order_release);
    atomic_store_explicit(&shared->granted, 0, memory_order_release);
    if (granted == GRANT_REFUSED) {
        *error = "the region is full; set LK_REGION_SIZE to more, or return less at a time";
        return NULL;
    }
    *handle = granted - 1;
    void *address = site->resolve(*handle, bytes);
    if (address)
        region_warm(address, *handle, bytes);
    return address;
}

/* The worker has no reference to this storage of a task's tensor any more. Its handle is noted for
 * the host, which frees the segment; but not where fetch_tensor made the worker's view of it
 * private and that can't be undone, because then the worker would not see what else is put there.
 */
static void let_go(struct storage *storage)
{
    struct worker_site *site = storage->owner;
    /* A process that a task forked inherits the storage, but it is this worker that tells the host.
     */
    if (getpid() == site->pid && (site->workplace->options.retries == 0 ||
                                  region_set_private(storage->data, storage->bytes, false)))
        buffer_append(&site->freed, &storage->handle, sizeof storage->handle);
}

bool worker_storage_is_lent(const struct storage *storage)
{
    return storage->release == let_go;
}

static struct storage *fetch_tensor(void *context, uint64_t handle, size_t bytes,
                                    const char **error)
{
    struct worker_site *site = context;
    void *address = site->resolve(handle, bytes);
    if (!address) {
        *error = "a tensor outside the region";
        return NULL;
    }
    /* A task that may run again must find its tensors as they were sent, so what this run writes
     * into them stays its own. */
    if (site->workplace->options.retries > 0 && !region_set_private(address, bytes, true)) {
        *error = "out of memory";
        return NULL;
    }
    struct storage *storage = storage_wrap(address, bytes, let_go, site, handle);
    if (!storage)
        *error = "out of memory";
    site->fetched += bytes;
    return storage;
}

/* Sends the host the handles of the task tensors that were let go. */
static void tell_freed(struct worker_site *site)
{
    if (site->freed.length) {
        worker_post(site, RESULT_FREED, 0, site->freed.data, site->freed.length);
        site->freed.length = 0;
    }
}

/* Whether the pipes hold output that the host should print before it delivers the next result.
 * Output that does not go through this process's stdio, such as a child program's, can only be
 * found by asking the pipes, which takes too long to do it after every one of a million short
 * tasks. */
static bool has_printed(struct worker_site *site)
{
    if (site->streams[0]) { /* the output of a thread goes over the ring, before the result */
        for (int i = 0; i < 2; i++)
            if (__fpending(site->streams[i]) > 0)
                fflush(site->streams[i]);
        return false;
    }
    if (__fpending(stdout) > 0)
        fflush(stdout);
    if (__fpending(stderr) > 0)
        fflush(stderr);
    bool printed = stdio_written() != site->written_seen;
    site->written_seen = stdio_written();
    uint64_t now = ticks();
    if (!printed && now - site->output_checked < OUTPUT_TICKS)
        return false;
    site->output_checked = now;
    for (int i = 0, unread = 0; i < 2 && !printed; i++)
        printed = ioctl(i + 1, FIONREAD, &unread) == 0 && unread > 0;
    return printed;
}

_Noreturn void worker_leave(int status)
{
    fflush(stdout);
    fflush(stderr);
    _exit(status);
}

static bool has_work(void *context)
{
    struct worker_site *site = context;
    uint64_t claim = atomic_load_explicit(&site->shared->claim, memory_order_acquire);
    return claim_begun(claim) != claim_limit(claim) ||
           atomic_load_explicit(&site->shared->stop, memory_order_acquire);
}

static void be_idle(struct worker_site *site)
{
    struct worker_shared *shared = site->shared;
    uint64_t since = atomic_load_explicit(&shared->busy_since, memory_order_relaxed);
    uint64_t busy = atomic_load_explicit(&shared->busy, memory_order_relaxed);
    uint64_t begun = clock_nanoseconds();
    atomic_store_explicit(&shared->busy_since, 0, memory_order_relaxed);
    atomic_store_explicit(&shared->busy, busy + begun - since, memory_order_relaxed);
    announce(site);
    wait_for(site, has_work);
    uint64_t ended = clock_nanoseconds();
    atomic_store_explicit(&shared->busy_since, ended, memory_order_relaxed);
    if (site->lane)
        lane_idle(site->lane, begun, ended);
}

/* Whether the heap of this process has grown so much that another worker should take its place.
 * Garbage that tasks left does not count. */
static bool has_outgrown(lua_State *L)
{
    if (!collector_is_over_budget())
        return false;
    lua_gc(L, LUA_GCSTEP, 0);
    return collector_is_over_budget();
}

/* Ends this process between two tasks, so that no task is blamed; the host makes another worker in
 * its place. */
_Noreturn static void retire(struct worker_site *site)
{
    struct worker_shared *shared = site->shared;
    log_message(LOG_LEVEL_DEBUG, "over %zu MiB of Lua values of its own; another worker goes on",
                collector_budget() >> 20);
    fflush(stdout);
    fflush(stderr);
    uint64_t since = atomic_load_explicit(&shared->busy_since, memory_order_relaxed);
    atomic_fetch_add_explicit(&shared->busy, clock_nanoseconds() - since, memory_order_relaxed);
    atomic_store_explicit(&shared->busy_since, 0, memory_order_release);
    _exit(0);
}

/* Makes the task that was just claimed, the first frame of the task ring, the one that runs. */
static void begin_task(struct worker_site *site)
{
    const struct frame *frame = (const struct frame *)(const void *)ring_place(&site->tasks);
    struct task *task = &site->task;
    task->bytes = frame_bytes(frame);
    task->length = frame_length(frame);
    task->index = site->next_index;
    task->ordinal = atomic_load_explicit(&site->workplace->shared->ordinal, memory_order_relaxed);
    if (frame_is_long(frame)) {
        task->index = frame->index;
        if (frame->flags & TASK_IS_FUTURE)
            task->ordinal = 0;
        if (frame->kind == TASK_INDIRECT) {
            const struct indirect *indirect = (const struct indirect *)(const void *)task->bytes;
            task->bytes = site->resolve(indirect->handle, indirect->length);
            task->length = indirect->length;
        }
    }
    if (task->ordinal) /* the number of a future says nothing about the index of the next task */
        site->next_index = task->index + 1;
    site->index = task->index;
    site->out.length = 0;
    task->losses = mapping_losses();
    random_defer(&site->stream, site->workplace->options.seed, task->ordinal, task->index);
    if (site->is_limited)
        limits_begin_task(site);
    if (site->lane)
        lane_begin(site->lane, task->index, task->ordinal);
}

/* What has to be done after a task and before its result is published. Gives the result's flags. */
static uint8_t settle_task(struct worker_site *site, lua_State *L, bool failed)
{
    if (site->is_limited)
        limits_end_task(site, L);
    /* The collector does not notice how much memory the userdata of tensors hold on to. */
    if (site->fetched > site->workplace->fetch_budget) {
        site->fetched = 0;
        lua_gc(L, LUA_GCSTEP, 0);
    }
    if (site->forked) /* a process that a task forked ends where the task does */
        worker_leave(EXIT_SUCCESS);
    if (site->lane)
        lane_end(site->lane, failed);
    if (lua_gethook(L) && !signal_pending() && !collector_is_due(L))
        lua_sethook(L, NULL, 0, 0); /* a hook that a task sets ends with the task */
    return (uint8_t)((has_printed(site) ? RESULT_PRINTED : 0) |
                     (random_drew(&site->stream) ? RESULT_DREW : 0));
}

/* What has to be done once the result of the task is published. */
static void end_task(struct worker_site *site, lua_State *L)
{
    site->index = 0;
    ring_take(&site->tasks, (const struct frame *)(const void *)ring_place(&site->tasks));
    ring_release(&site->tasks);
    if (site->freed.length)
        tell_freed(site);
    if (site->is_limited && limits_hit_memory())
        worker_leave(EXIT_SUCCESS);
    if (++site->unannounced >= atomic_load_explicit(&site->shared->quiet, memory_order_relaxed))
        announce(site);
    if (site->is_process && has_outgrown(L))
        retire(site);
}

/* Whether func returned one value that codec_put takes. */
static bool returned_scalar(lua_State *L)
{
    if (lua_gettop(L) != TASK_MODEL + 1)
        return false;
    int type = lua_type(L, -1);
    return type == LUA_TNUMBER || type == LUA_TBOOLEAN || type == LUA_TNIL ||
           (type == LUA_TSTRING && lua_rawlen(L, -1) <= CODEC_SHORT_STRING_MAX);
}

static void run_task(struct worker_site *site, lua_State *L)
{
    begin_task(site);
    task_call(L, &site->task);
    bool scalar = returned_scalar(L);
    if (!scalar)
        task_encode(L, &site->task);
    task_check(L, &site->task);
    uint8_t flags = settle_task(site, L, false);
    if (scalar)
        post_scalar(site, L, flags);
    else
        worker_post(site, RESULT_VALUES, flags, site->out.data, site->out.length);
    end_task(site, L);
}

/* The task raised the error on top of the stack, which becomes its result. */
static void fail_task(struct worker_site *site, lua_State *L, int status)
{
    task_fail(L, status, &site->task);
    uint8_t flags = settle_task(site, L, true);
    if (site->task.out_of_memory)
        limits_report_memory(site, L, &site->task);
    site->task.out_of_memory = false;
    worker_post(site, RESULT_ERROR, flags, site->out.data, site->out.length);
    end_task(site, L);
}

/* serve(site, func, model) */
static int serve(lua_State *L)
{
    struct worker_site *site = lua_touserdata(L, 1);
    struct worker_shared *shared = site->shared;
    while (!atomic_load_explicit(&shared->stop, memory_order_relaxed)) {
        uint64_t claim = atomic_load_explicit(&shared->claim, memory_order_acquire);
        if (claim_begun(claim) == claim_limit(claim))
            be_idle(site);
        else if (atomic_compare_exchange_strong(&shared->claim, &claim,
                                                claim + ((uint64_t)1 << 32)))
            run_task(site, L);
    }
    return 0;
}

void worker_serve(struct worker_site *site, lua_State *L)
{
    int func = lua_gettop(L) - 1, status;
    task_push_handler(L);
    random_use(&site->stream);
    atomic_store_explicit(&site->shared->busy_since, clock_nanoseconds(), memory_order_relaxed);
    for (;;) {
        lua_pushcfunction(L, serve);
        lua_pushlightuserdata(L, site);
        lua_pushvalue(L, func);
        lua_pushvalue(L, func + 1);
        status = lua_pcall(L, 3, 0, func + 2);
        /* Between tasks, only the request that a thread ends raises an error. */
        if (status == LUA_OK || !site->index)
            break;
        fail_task(site, L, status);
    }
    random_use(NULL);
}

struct worker_site *worker_open_site(const struct workplace *workplace, int place, int bell_fd)
{
    const struct pool_options *options = &workplace->options;
    struct worker_shared *shared = &workplace->shared->workers[place];
    struct worker_site *site = calloc(1, sizeof *site);
    if (!site)
        return NULL;
    *site = (struct worker_site){.workplace = workplace,
                                 .shared = shared,
                                 .place = place,
                                 .pid = getpid(),
                                 .is_limited = options->timeout > 0 || options->memory_limit,
                                 .bell_fd = bell_fd,
                                 .port = {site, place_tensor, fetch_tensor},
                                 .resolve = region_resolve_inherited};
    site->task.port = &site->port;
    site->task.out = &site->out;
    site->lane = lane_of(workplace->shared, place);
    ring_attach(&site->tasks, &shared->tasks, workplace->ring_memory, place * 2, RING_SIZE);
    ring_attach(&site->results, &shared->results, workplace->ring_memory, place * 2 + 1, RING_SIZE);
    return site;
}
