/* Futures: single tasks outside a map. A future holds its invoker; the invoker finds its futures by
 * number in a weak table, so that a future which nobody holds any more costs nothing: its result is
 * dropped. */
#include "pool/future.h"

#include <math.h>
#include <stdlib.h>
#include <lauxlib.h>

#include "base/util.h"
#include "machine/signals.h"
#include "memory/segment.h"
#include "pool/flight.h"
#include "pool/inplace.h"
#include "pool/map_state.h"
#include "pool/outcome.h"
#include "pool/pool_collect.h"
#include "pool/pool_dispatch.h"
#include "pool/pool_end.h"
#include "pool/pool_result.h"
#include "pool/pool_state.h"
#include "pool/pool_watch.h"

#define FUTURE_CLASS "lkrun.future"

/* User values of a future: its invoker, and the table of results that keep_results makes. */
enum { FUTURE_POOL = 1, FUTURE_RESULTS, FUTURE_VALUES = FUTURE_RESULTS };

static void run_in_place(lua_State *L, struct pool *pool, struct future *future)
{
    struct buffer out = {0};
    struct outcome outcome = {.index = future->number};
    lua_pushvalue(L, 1);
    lua_pushvalue(L, 2);
    bool sent = inplace_run(L, pool, 0, &outcome, &out);
    if (sent)
        pool_settle(pool, &outcome);
    buffer_free(&out);
    signal_raise_if_pending(L);
    if (!sent) {
        lua_pushfstring(L, "lkrun: %s", lua_tostring(L, -1));
        lua_error(L);
    }
}

int future_submit(lua_State *L)
{
    struct pool *pool = pool_check(L, 1);
    luaL_checkany(L, 2);
    lua_settop(L, 2);
    if (pool->broken)
        return raise_error(L, "invoker:submit", "%s", pool->reason);
    if (lua_isnil(L, 2))
        return raise_error(L, "invoker:submit", "task: nil cannot be sent; lk.null can");
    if (pool->futures_ref == LUA_NOREF) {
        lua_newtable(L);
        lua_createtable(L, 0, 1);
        lua_pushliteral(L, "v");
        lua_setfield(L, -2, "__mode");
        lua_setmetatable(L, -2);
        pool->futures_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    }
    struct future *future = lua_newuserdatauv(L, sizeof *future, FUTURE_VALUES);
    *future = (struct future){.number = pool->futures + 1};
    luaL_setmetatable(L, FUTURE_CLASS);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, FUTURE_POOL);
    lua_rawgeti(L, LUA_REGISTRYINDEX, pool->futures_ref);
    lua_pushvalue(L, -2);
    lua_rawseti(L, -2, (lua_Integer)future->number);
    lua_pop(L, 1);
    pool->futures++;
    if (pool->in_place) {
        run_in_place(L, pool, future);
    } else {
        struct flight flight = {.index = future->number, .is_future = 1};
        if (!pool_submit(pool, L, 2, "task", &flight, NULL)) {
            lua_pushfstring(L, "lkrun: %s", lua_tostring(L, -1));
            return lua_error(L);
        }
        pool_feed_backlog(pool);
    }
    lua_settop(L, 3);
    return 1;
}

static struct future *future_check(lua_State *L)
{
    pool_refuse_finalizer(L);
    return luaL_checkudata(L, 1, FUTURE_CLASS);
}

/* Pushes the invoker of the future and gives its pool. */
static struct pool *future_pool(lua_State *L, const struct future *future)
{
    lua_getiuservalue(L, 1, FUTURE_POOL);
    struct pool *pool = lua_touserdata(L, -1);
    if (future->state == FUTURE_PENDING)
        pool_refuse_copy(L, pool);
    return pool;
}

static void take_results(struct pool *pool)
{
    pool_look_around(pool);
    for (int i = 0; pool->started && i < pool->work.options.jobs; i++)
        pool_drain(pool, &pool->workers[i], 0);
}

static void wait_done(lua_State *L, struct pool *pool, struct future *future, double timeout)
{
    uint64_t until = timeout < 0 ? 0 : clock_nanoseconds() + (uint64_t)(timeout * 1e9);
    while (future->state == FUTURE_PENDING) {
        pool_note(pool);
        pool->future_awaited = true;
        take_results(pool);
        pool->future_awaited = false;
        if (future->state != FUTURE_PENDING)
            return;
        signal_raise_if_pending(L); /* may run a hook, which may use the future */
        if (future->state != FUTURE_PENDING)
            return;
        if (pool->broken)
            raise_error(L, "future:get", "%s", pool->reason);
        int limit = -1;
        if (timeout >= 0) {
            uint64_t now = clock_nanoseconds();
            if (now >= until)
                raise_error(L, "future:get",
                            "no result within %g seconds; ask again, or wait longer", timeout);
            uint64_t left = (until - now) / 1000000u + 1;
            limit = left > 1000000 ? 1000000 : (int)left;
        }
        pool_wait(pool, limit);
    }
}

static void free_outcome(struct future *future)
{
    segments_free(&future->outcome.segments);
    free(future->outcome.owned);
    future->outcome.owned = NULL;
}

/* The `count` values on top of the stack are the result: the future keeps them for later calls of
 * get. */
static void keep_results(lua_State *L, struct future *future, int count)
{
    int first = lua_gettop(L) - count + 1;
    lua_createtable(L, count, 0);
    for (int i = 0; i < count; i++) {
        lua_pushvalue(L, first + i);
        lua_rawseti(L, -2, i + 1);
    }
    future->count = count;
    lua_setiuservalue(L, 1, FUTURE_RESULTS);
    free_outcome(future);
    future->state = FUTURE_TAKEN;
}

/* Pushes the results that the future keeps and gives their number. */
static int push_kept(lua_State *L, const struct future *future)
{
    luaL_checkstack(L, future->count + 1, "too many results");
    lua_getiuservalue(L, 1, FUTURE_RESULTS);
    int table = lua_gettop(L);
    for (int i = 1; i <= future->count; i++)
        lua_rawgeti(L, table, i);
    return future->count;
}

/* get(future[, timeout]) → what func returned; raises the task's error */
static int future_get(lua_State *L)
{
    struct future *future = future_check(L);
    double timeout = luaL_optnumber(L, 2, -1);
    if (!lua_isnoneornil(L, 2) && !(timeout >= 0))
        return raise_error(L, "future:get", "timeout is %g; expected seconds, 0 or more", timeout);
    lua_settop(L, 1);
    struct pool *pool = future_pool(L, future);
    wait_done(L, pool, future, timeout > 1e9 ? -1 : timeout); /* 30 years are for ever */
    if (future->state == FUTURE_CANCELLED)
        return raise_error(L, "future:get", "the task was cancelled");
    if (future->state == FUTURE_ABANDONED)
        return raise_error(L, "future:get",
                           "the invoker was shut down before the task had a result");
    if (future->state == FUTURE_COLLECTED)
        return raise_error(L, "future:get", "the future was collected, and its result with it");
    int count;
    if (future->state == FUTURE_TAKEN) {
        count = push_kept(L, future);
    } else {
        future->good = outcome_push(L, pool, &future->outcome, &count);
        if (!future->good)
            outcome_make_error(L, 2, &future->outcome, pool->map ? pool->map->delivered : 0);
        keep_results(L, future, count);
    }
    return future->good ? count : lua_error(L);
}

static int future_done(lua_State *L)
{
    struct future *future = future_check(L);
    lua_settop(L, 1);
    struct pool *pool = future_pool(L, future);
    if (future->state == FUTURE_PENDING)
        take_results(pool);
    lua_pushboolean(L, future->state != FUTURE_PENDING);
    return 1;
}

/* cancel(future) → whether it is cancelled: a task that has begun or ended cannot be. */
static int future_cancel(lua_State *L)
{
    struct future *future = future_check(L);
    lua_settop(L, 1);
    struct pool *pool = future_pool(L, future);
    if (future->state == FUTURE_PENDING) {
        take_results(pool);
        if (future->state == FUTURE_PENDING && pool_recall(pool, future->number))
            future->state = FUTURE_CANCELLED;
    }
    lua_pushboolean(L, future->state == FUTURE_CANCELLED);
    return 1;
}

/* A finalizer of the program may have kept the future alive: from now on it has no result any more.
 */
static int future_gc(lua_State *L)
{
    struct future *future = luaL_checkudata(L, 1, FUTURE_CLASS);
    free_outcome(future);
    if (future->state == FUTURE_DONE || future->state == FUTURE_PENDING)
        future->state = FUTURE_COLLECTED;
    return 0;
}

void future_register(lua_State *L)
{
    static const luaL_Reg methods[] = {{"get", future_get},
                                       {"done", future_done},
                                       {"cancel", future_cancel},
                                       {"__gc", future_gc},
                                       {NULL, NULL}};
    register_class(L, FUTURE_CLASS, methods);
}
