/* A worker: takes tasks from its ring, runs them, puts results on the other ring. It is a fork of
 * the template, so it has the model, func and all they reach; it never returns into the stack it
 * inherited and never runs what belongs to the host.
 *
 * The order of its steps is what makes blame exact: claim a task (the host sees it as begun), run
 * it, publish its result whole, give back the task's bytes. A worker that dies in between is blamed
 * for the claimed task if and only if its result was not published. */
#include "pool.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <lauxlib.h>
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

#include "bind.h"
#include "collector.h"
#include "log.h"
#include "mapping.h"
#include "progress.h"
#include "region.h"
#include "terminal_stdio.h"
#include "worker.h"
#include "worker_limits.h"
#include "worker_sinks.h"

/* Descriptors are asked for unread output at most this often, in clock ticks: some microseconds. */
#define OUTPUT_TICKS 50000

/* The site of a worker that is this process: for signals and exit. */
static struct worker_site *own_site;

static uint64_t ticks(void)
{
#if defined(__x86_64__)
    return __rdtsc();
#else
    return clock_nanoseconds() * 2;
#endif
}

static void announce(struct worker_site *site)
{
    site->unannounced = 0;
    doorbell_ring(&site->pool->shared->bell, site->pool->bell_fd);
}

/* Sleeps until the host rings; `ready` says whether what it waits for is there. */
static void wait_for(struct worker_site *site, bool (*ready)(void *site))
{
    struct worker_shared *shared = site->shared;
    bool timed = site->pool->options.timeout > 0;
    if (timed)
        limits_pause(site);
    while (!patience_look(&site->patience, ready, site)) {
        doorbell_announce(&shared->bell);
        if (ready(site)) {
            doorbell_cancel(&shared->bell);
            break;
        }
        doorbell_wait(&shared->bell, site->bell_fd);
        if (atomic_load_explicit(&shared->stop, memory_order_acquire) > 1)
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

static void put_frame(struct worker_site *site, uint16_t kind, uint16_t flags, const char *bytes,
                      size_t length)
{
    size_t whole = frame_size(length);
    if (ring_room(&site->results, whole) < whole) {
        announce(site);
        site->wanted = whole;
        wait_for(site, has_room);
    }
    struct frame *frame = (struct frame *)(void *)ring_place(&site->results);
    *frame = (struct frame){(uint32_t)length, kind, flags, site->index};
    if (length)
        memcpy(frame + 1, bytes, length);
    ring_advance(&site->results, whole);
    ring_publish(&site->results);
}

void worker_post(struct worker_site *site, uint16_t kind, uint16_t flags, const char *bytes,
                 size_t length)
{
    const size_t piece = RING_SIZE / 4;
    for (; length > piece; bytes += piece, length -= piece)
        put_frame(site, RESULT_PART, 0, bytes, piece);
    put_frame(site, kind, flags, bytes, length);
    if (kind == RESULT_LOG || kind == RESULT_PROGRESS ||
        kind == RESULT_OUTPUT) { /* for eyes, now */
        atomic_fetch_add_explicit(&site->shared->news, 1, memory_order_release);
        announce(site);
    }
}

static bool has_grant(void *context)
{
    struct worker_site *site = context;
    return atomic_load_explicit(&site->shared->granted, memory_order_acquire) != 0;
}

/* Room for a large tensor of a result: the host owns the region, so it is asked. */
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
        region_warm(address, bytes);
    return address;
}

static void let_go(struct storage *storage)
{
    struct worker_site *site = storage->owner;
    /* A worker of this worker inherits the storage, but not the duty. */
    if (getpid() == site->pid && (site->pool->options.retries == 0 ||
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
    /* A task that may run again must find its tensors as they were sent. */
    if (site->pool->options.retries > 0 && !region_set_private(address, bytes, true)) {
        *error = "out of memory";
        return NULL;
    }
    struct storage *storage = storage_wrap(address, bytes, let_go, site, handle);
    if (!storage)
        *error = "out of memory";
    site->fetched += bytes;
    return storage;
}

static void tell_freed(struct worker_site *site)
{
    if (site->freed.length) {
        worker_post(site, RESULT_FREED, 0, site->freed.data, site->freed.length);
        site->freed.length = 0;
    }
}

/* Whether the pipes hold output that the host should print before it delivers the next result. What
 * doesn't go through stdio, child programs above all, is written behind our back, so the pipes are
 * asked; but not after every one of a million short tasks. */
static bool has_printed(struct worker_site *site, bool at_once)
{
    if (site->streams[0]) { /* what is left goes over the ring, before the result */
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
    if (!printed && !at_once && now - site->output_checked < OUTPUT_TICKS)
        return false;
    site->output_checked = now;
    for (int i = 0, unread = 0; i < 2 && !printed; i++)
        printed = ioctl(i + 1, FIONREAD, &unread) == 0 && unread > 0;
    return printed;
}

_Noreturn static void leave(void)
{
    fflush(stdout);
    fflush(stderr);
    _exit(0);
}

/* A process that a task forked ends where the task does: the rings are the worker's. */
_Noreturn static void leave_copy(int status)
{
    fflush(stdout);
    fflush(stderr);
    _exit(status);
}

static void run_next(struct worker_site *site, lua_State *L)
{
    const struct pool_options *options = &site->pool->options;
    const struct frame *frame = (const struct frame *)(const void *)ring_place(&site->tasks);
    struct task task = {
        .index = frame->index, .seed = options->seed, .port = &site->port, .out = &site->out};
    task.ordinal =
        frame->flags ? 0 : atomic_load_explicit(&site->pool->shared->ordinal, memory_order_relaxed);
    task.bytes = (const char *)(frame + 1);
    task.length = frame->length;
    if (frame->kind == TASK_INDIRECT) {
        const struct indirect *indirect = (const struct indirect *)(const void *)(frame + 1);
        task.bytes = site->resolve(indirect->handle, indirect->length);
        task.length = indirect->length;
    }
    site->index = frame->index;
    site->out.length = 0;
    bool limited = options->timeout > 0 || options->memory_limit;
    if (limited)
        limits_begin_task(site);
    enum result_kind kind = task_run(L, 1, &task);
    if (limited)
        limits_end_task(site, L);
    if (task.out_of_memory)
        limits_report_memory(site, L, &task);
    if (site->fetched > site->pool->fetch_budget) {
        site->fetched = 0;
        lua_gc(L, LUA_GCSTEP, 0);
    }
    if (site->forked)
        leave_copy(EXIT_SUCCESS);
    uint16_t flags =
        (uint16_t)((has_printed(site, false) ? RESULT_PRINTED : 0) | (task.drew ? RESULT_DREW : 0));
    worker_post(site, (uint16_t)kind, flags, site->out.data, site->out.length);
    site->index = 0;
    ring_advance(&site->tasks, frame_size(frame->length));
    ring_release(&site->tasks);
    tell_freed(site);
    if (limited && limits_hit_memory())
        leave();
    if (++site->unannounced >= atomic_load_explicit(&site->shared->quiet, memory_order_relaxed))
        announce(site);
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
    atomic_store_explicit(&shared->busy_since, 0, memory_order_relaxed);
    atomic_store_explicit(&shared->busy, busy + clock_nanoseconds() - since, memory_order_relaxed);
    announce(site);
    wait_for(site, has_work);
    atomic_store_explicit(&shared->busy_since, clock_nanoseconds(), memory_order_relaxed);
}

/* Whether the process is to be replaced. What a task left to the collector does not count. */
static bool has_outgrown(const struct worker_site *site, lua_State *L)
{
    if (site != own_site || !collector_is_over_budget())
        return false;
    lua_gc(L, LUA_GCSTEP, 0);
    return collector_is_over_budget();
}

/* Between two tasks, so with nobody to blame; the host makes another worker in this place. */
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

void worker_serve(struct worker_site *site, lua_State *L)
{
    struct worker_shared *shared = site->shared;
    atomic_store_explicit(&shared->busy_since, clock_nanoseconds(), memory_order_relaxed);
    while (!atomic_load_explicit(&shared->stop, memory_order_relaxed)) {
        uint64_t claim = atomic_load_explicit(&shared->claim, memory_order_acquire);
        if (claim_begun(claim) == claim_limit(claim))
            be_idle(site);
        else if (atomic_compare_exchange_strong(&shared->claim, &claim,
                                                claim + ((uint64_t)1 << 32))) {
            run_next(site, L);
            if (has_outgrown(site, L))
                retire(site);
        }
    }
}

/* exit(3), from os.exit or C code, ends the worker without the host's atexit handlers. */
static void on_worker_exit(int status, void *unused)
{
    (void)unused;
    if (getpid() == own_site->pid) {
        fflush(stdout);
        fflush(stderr);
        _exit(status);
    }
}

static void on_fork(void)
{
    if (own_site)
        own_site->forked = true;
}

static int worker_os_exit(lua_State *L)
{
    int status = lua_isboolean(L, 1) ? (lua_toboolean(L, 1) ? EXIT_SUCCESS : EXIT_FAILURE)
                                     : (int)luaL_optinteger(L, 1, EXIT_SUCCESS);
    on_worker_exit(status, NULL);
    leave_copy(status);
}

static void take_streams(const struct worker *worker)
{
    int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    dup2(nothing, 0);
    dup2(worker->output_end[0], 1);
    dup2(worker->output_end[1], 2);
    close(nothing);
}

/* The template has reset what the host handles; the mask is what it needed for itself. */
static void take_signals(void)
{
    signal(SIGTERM, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

struct worker_site *worker_open_site(struct pool *pool, int place)
{
    struct worker *worker = &pool->workers[place];
    struct worker_site *site = calloc(1, sizeof *site);
    if (!site)
        return NULL;
    *site = (struct worker_site){.pool = pool,
                                 .shared = worker->shared,
                                 .place = place,
                                 .pid = getpid(),
                                 .bell_fd = worker->bell_fd,
                                 .port = {site, place_tensor, fetch_tensor},
                                 .resolve = region_resolve_inherited};
    ring_attach(&site->tasks, &worker->shared->tasks, pool->ring_memory, place * 2, RING_SIZE);
    ring_attach(&site->results, &worker->shared->results, pool->ring_memory, place * 2 + 1,
                RING_SIZE);
    return site;
}

_Noreturn void worker_main(struct pool *pool, lua_State *L, int place)
{
    struct worker *worker = &pool->workers[place];
    /* The signal follows the death of the thread that forked; it may be dead already. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != pool->owner)
        _exit(0);
    setpgid(0,
            0); /* out of reach of the terminal's Ctrl-C; killed with its children as one group */
    take_signals();
    mapping_enter_worker();
    take_streams(worker);
    struct worker_site *site = worker_open_site(pool, place);
    if (!site)
        _exit(EXIT_FAILURE);
    own_site = site;
    pthread_atfork(NULL, NULL, on_fork);
    bind_enter_worker(place);
    region_enter_worker();
    segments_enter_worker();
    collector_enter_worker(L, pool->options.memory_limit);
    config_enter_worker(&pool->options.worker);
    progress_install(L);
    progress_enter_worker();
    worker_install_sinks(site);
    write_epoch++;
    on_exit(on_worker_exit, NULL);
    lua_State *own = lua_newthread(L); /* stays on L's stack, which nobody touches again */
    lua_sethook(own, NULL, 0, 0);
    lua_pushvalue(L, 1);
    lua_pushvalue(L, 2);
    lua_xmove(L, own, 2);
    task_prepare(own);
    if (lua_getglobal(own, "os") == LUA_TTABLE) {
        lua_pushcfunction(own, worker_os_exit);
        lua_setfield(own, -2, "exit");
    }
    lua_settop(own, 4);
    limits_enter_worker(site, own);
    worker_serve(site, own);
    leave();
}
