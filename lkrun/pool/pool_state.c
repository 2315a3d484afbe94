#include "pool/pool_state.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "pool/map_state.h"
#include "screen/log.h"

/* How many tasks of a map may be pulled and not delivered. */
#define MAX_PULLED ((uint64_t)1 << 17)

uint32_t fork_count;

static void on_fork(void)
{
    fork_count++;
}

void pool_count_forks(void)
{
    static bool counts;
    if (!counts)
        counts = pthread_atfork(NULL, NULL, on_fork) == 0;
}

static const char *remedy(int reason)
{
    return reason == EAGAIN   ? "; use fewer workers, or raise the limit on processes (ulimit -u)"
           : reason == EMFILE ? "; use fewer workers, or raise the limit on open files (ulimit -n)"
           : reason == ENFILE ? "; the system has too many open files"
           : reason == ENOMEM ? "; use fewer workers, or free memory"
                              : "";
}

bool pool_fail(struct pool *pool, const char *what)
{
    int reason = errno;
    snprintf(pool->reason, sizeof pool->reason, "workers cannot start: %s: %s%s", what,
             strerror(reason), remedy(reason));
    return false;
}

bool pool_may_pull(const struct pool *pool)
{
    const struct map *map = pool->map;
    return map && !map->exhausted && !map->pulling && !pool->backlog.count &&
           map->pulled - map->delivered < MAX_PULLED && pool->stored_bytes < MAX_STORED;
}

void pool_log_seed(struct pool *pool)
{
    if (pool->seed_logged)
        return;
    pool->seed_logged = true;
    if (!pool->work.options.seed_given)
        log_message(LOG_LEVEL_INFO,
                    "tasks draw random numbers from the root seed %lld (seed = repeats them)",
                    (long long)pool->work.options.seed);
}

bool pool_in_finalizer(lua_State *L)
{
    /* Lua 5.4.4 and later refuse every call of lua_gc inside a finalizer. */
    return lua_gc(L, LUA_GCCOUNT) < 0;
}

void pool_refuse_finalizer(lua_State *L)
{
    if (pool_in_finalizer(L))
        raise_error(L, "invoker",
                    "it cannot be used in a finalizer (__gc), which may run in the "
                    "middle of its work; only shutdown can");
}

void pool_refuse_copy(lua_State *L, const struct pool *pool)
{
    if (pool->work.owner != getpid())
        raise_error(L, "invoker",
                    "it belongs to the process that made it; a task makes its own with lk.invoker");
}
