/* Workers that are threads of this process: the same rings, claims and bells as for processes. They
 * end only with the process or the pool, so none is ever replaced. A worker has no pid; `starting`
 * stays true, which makes it count as usable in the rest of the pool. */
#include "pool/pool_threads.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <lauxlib.h>
#include <lualib.h>

#include "base/channel.h"
#include "machine/config.h"
#include "machine/signals.h"
#include "memory/storage.h"
#include "pool/pool_collect.h"
#include "pool/pool_grant.h"
#include "pool/pool_output.h"
#include "pool/pool_shared.h"
#include "pool/pool_state.h"
#include "value/carry_encode.h"
#include "worker/worker_thread.h"

struct threads {
    sem_t ready;
    char *path, *cpath;
    struct worker_thread workers[]; /* [pool->work.options.jobs] */
};

/* A copy of a string in `package`; empty where the program has put something else there. */
static char *package_field(lua_State *L, const char *name)
{
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    char *copy = NULL;
    if (lua_getfield(L, -1, LUA_LOADLIBNAME) == LUA_TTABLE) {
        lua_getfield(L, -1, name);
        copy = strdup(lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "");
        lua_pop(L, 1);
    }
    lua_pop(L, 2);
    return copy;
}

static void free_threads(struct pool *pool)
{
    if (!pool->threads)
        return;
    sem_destroy(&pool->threads->ready);
    free(pool->threads->path);
    free(pool->threads->cpath);
    free(pool->threads);
    pool->threads = NULL;
}

static bool make_threads(struct pool *pool, lua_State *L)
{
    int jobs = pool->work.options.jobs;
    struct threads *threads =
        calloc(1, sizeof *threads + (size_t)jobs * sizeof threads->workers[0]);
    if (!threads)
        return pool_fail(pool, "memory");
    pool->threads = threads;
    sem_init(&threads->ready, 0, 0);
    threads->path = package_field(L, "path");
    threads->cpath = package_field(L, "cpath");
    for (int place = 0; place < jobs; place++) {
        struct worker_thread *thread = &threads->workers[place];
        *thread = (struct worker_thread){.workplace = &pool->work,
                                         .carried = &pool->carried,
                                         .place = place,
                                         .bell_fd = pool->workers[place].bell_fd,
                                         .write_epoch = write_epoch + 1,
                                         .path = threads->path,
                                         .cpath = threads->cpath,
                                         .ready = &threads->ready};
        int error = pthread_create(&thread->thread, NULL, worker_thread_main, thread);
        if (error) {
            errno = error;
            return pool_fail(pool, "pthread_create");
        }
        thread->started = true;
    }
    return true;
}

static void end_tasks(struct pool *pool)
{
    for (int i = 0; i < pool->work.options.jobs; i++) {
        struct worker_thread *thread = &pool->threads->workers[i];
        if (thread->started && !atomic_load(&thread->ended))
            signal_end_thread(thread->thread);
    }
}

/* Waits until every thread can take tasks. False, with pool->reason, where one cannot. */
static bool wait_until_ready(struct pool *pool)
{
    bool ready = true;
    for (int i = 0; i < pool->work.options.jobs; i++)
        while (sem_wait(&pool->threads->ready) < 0)
            if (signal_pending())
                end_tasks(pool); /* a thread is loading a module that takes long */
    for (int i = 0; i < pool->work.options.jobs && ready; i++) {
        const char *problem = pool->threads->workers[i].problem;
        const char *prefix = "lkrun: worker: ";
        ready = !*problem;
        if (strncmp(problem, prefix, strlen(prefix)) == 0)
            problem += strlen(prefix);
        if (!ready)
            snprintf(pool->reason, sizeof pool->reason, "workers cannot start: %s", problem);
    }
    return ready;
}

static bool start(struct pool *pool, lua_State *L)
{
    static const char *const names[] = {"func", "model"};
    lua_pushvalue(L, 1);
    lua_pushvalue(L, 2);
    carry_encode(L, "lk.invoker", names, 2, &thread_carry_port, &pool->carried);
    lua_pop(L, 2);
    pool->started = pool_make_shared(pool);
    return pool->started && make_threads(pool, L) && wait_until_ready(pool);
}

/* Takes in what the threads still send, so that none waits for room for ever. Says whether all have
 * ended. */
static bool have_ended(struct pool *pool)
{
    bool ended = true;
    for (int i = 0; i < pool->work.options.jobs; i++) {
        struct worker *worker = &pool->workers[i];
        struct worker_thread *thread = &pool->threads->workers[i];
        ended = ended && (!thread->started || atomic_load(&thread->ended));
        pool_grant_room(pool, worker);
        pool_drain(pool, worker, 0);
        pool_release_results(worker);
    }
    return ended;
}

static void stop(struct pool *pool, lua_State *L)
{
    (void)L;
    bool told_to_end = false;
    for (int i = 0; i < pool->work.options.jobs && pool->threads; i++) {
        atomic_store(&pool->workers[i].shared->stop, 1);
        doorbell_ring(&pool->workers[i].shared->bell, pool->workers[i].bell_fd);
    }
    while (pool->threads && !have_ended(pool)) {
        if (signal_received() || signal_pending()) {
            end_tasks(pool);
            told_to_end = true;
        }
        struct pollfd news[] = {
            {.fd = pool->work.bell_fd, .events = POLLIN},
            {.fd = told_to_end ? -1 : signal_descriptor(), .events = POLLIN},
        };
        doorbell_announce(&pool->work.shared->bell);
        poll(news, 2, 5);
        /* This does not wait, because the descriptor is non-blocking. */
        doorbell_wait(&pool->work.shared->bell, pool->work.bell_fd);
    }
    for (int i = 0; i < pool->work.options.jobs && pool->threads; i++)
        if (pool->threads->workers[i].started)
            pthread_join(pool->threads->workers[i].thread, NULL);
    for (int i = 0; i < pool->work.options.jobs; i++) {
        pool_drain(pool, &pool->workers[i], 0); /* what the thread sent before its end */
        pool_flush_output(&pool->workers[i]);
    }
    free_threads(pool);
    pool_unmake(pool);
}

const struct worker_kind thread_workers = {.name = "threads",
                                           .in_this_process = true,
                                           .start = start,
                                           .stop = stop,
                                           .allow_writing = storage_allow,
                                           .configuration = config_for_thread};
