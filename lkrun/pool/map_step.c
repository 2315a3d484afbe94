/* One map over an invoker: the iterator that a generic `for` runs. It pulls tasks from a Lua
 * generator, which may yield, and delivers results to the loop.
 *
 * What always holds: results are delivered as if tasks were run one after the other. An error of
 * the generator is raised when every result before it is delivered; a task that can't be sent is a
 * failed task in its place. Whatever happens inside a step, the next one finds the map in order:
 * counters change only when a task is safely queued or a result safely delivered. */
#include "pool/map_step.h"

#include "base/util.h"
#include "machine/signals.h"
#include "pool/inplace.h"
#include "pool/map_end.h"
#include "pool/map_pull.h"
#include "pool/map_state.h"
#include "pool/outcome.h"
#include "pool/pool_collect.h"
#include "pool/pool_dispatch.h"
#include "pool/pool_end.h"
#include "pool/pool_scalar.h"
#include "pool/pool_state.h"
#include "pool/pool_timeline.h"
#include "pool/pool_tokens.h"
#include "pool/pool_watch.h"
#include "screen/progress.h"
#include "worker/failure.h"
#include "worker/worker_shared.h"

/* --- the step function --- */

static int deliver(lua_State *L, struct pool *pool, struct map *map, struct outcome *outcome)
{
    if (pool->limited && pool->caller_time > HORIZON)
        pool_give_tokens(pool); /* the caller lately took long between two steps */
    lua_settop(L, 0);
    lua_pushinteger(L, (lua_Integer)outcome->index);
    int count;
    lua_getiuservalue(L, lua_upvalueindex(STEP_MAP), MAP_POOL);
    bool good = outcome_push(L, pool, outcome, &count);
    outcome_finish(pool, outcome);
    map->delivered++;
    pool->until_look -= pool->until_look > 0;
    if (!good)
        outcome_make_error(L, 2, outcome, map->delivered - 1);
    lua_remove(L, 2);
    if (good)
        return 1 + count;
    if (!pool->work.options.return_errors)
        return lua_error(L);
    lua_pushnil(L);
    lua_insert(L, 2);
    return 3;
}

static int continue_step(lua_State *L, int status, lua_KContext context);

/* Pulls a batch of tasks for a hungry worker. If the generator yields, continue_step goes on where
 * this would have. */
static int pull_batch(lua_State *L, struct map *map, struct worker *worker, uint32_t count)
{
    map->pulling = true;
    map->wanted = count;
    lua_settop(L, 0);
    lua_pushcfunction(L, map_pull);
    for (int i = STEP_MAP; i <= STEP_STATE; i++)
        lua_pushvalue(L, lua_upvalueindex(i));
    lua_getiuservalue(L, lua_upvalueindex(STEP_MAP), MAP_CONTROL);
    lua_pushlightuserdata(L, worker);
    return lua_pcallk(L, 5, 1, 0, 1, continue_step);
}

/* Does what pull_batch does, and notes it in the timeline. */
static int pull_noted(lua_State *L, struct map *map, struct worker *worker, uint32_t count)
{
    uint64_t begun = clock_nanoseconds(), before = map->pulled;
    int status = pull_batch(L, map, worker, count);
    if (map->pool)
        pool_trace_dispatch(map->pool, begun, worker, map->pulled - before);
    return status;
}

static void end_pull(lua_State *L, struct map *map, int status)
{
    map->pulling = false;
    if (status == LUA_OK || status == LUA_YIELD) {
        lua_setiuservalue(L, lua_upvalueindex(STEP_MAP), MAP_CONTROL);
    } else {
        map->failed = map->exhausted = true;
        if (lua_type(L, -1) == LUA_TSTRING)
            signal_rethrow(lua_tostring(L, -1));
        lua_setiuservalue(L, lua_upvalueindex(STEP_MAP), MAP_ERROR);
        for (int i = 0; map->pool && i < map->pool->work.options.jobs; i++)
            pool_publish(&map->pool->workers[i]);
        signal_raise_if_pending(L); /* an interruption does not wait for the results before it */
    }
}

static int raise_map(lua_State *L, struct map *map)
{
    lua_getiuservalue(L, lua_upvalueindex(STEP_MAP), MAP_ERROR);
    map_finish(L, map, lua_upvalueindex(STEP_MAP));
    return lua_error(L);
}

static int raise_pulling(lua_State *L)
{
    return raise_error(L, "invoker:map", "its generator is running already; one step at a time");
}

static int raise_broken(lua_State *L, struct pool *pool, struct map *map)
{
    lua_pushfstring(L, "lkrun: invoker: %s", pool->reason);
    map_finish(L, map, lua_upvalueindex(STEP_MAP));
    return lua_error(L);
}

static int step_in_place(lua_State *L, struct pool *pool, struct map *map, bool returned,
                         int status);

/* Refuses a step in a finalizer or in a fork of the program, and carries out a shutdown that a
 * finalizer has asked for. */
static void enter_step(lua_State *L, struct map *map)
{
    struct pool *pool = map->pool;
    pool_refuse_finalizer(L);
    if (pool)
        pool_refuse_copy(L, pool);
    if (!pool || !pool->end_due)
        return;
    lua_getiuservalue(L, lua_upvalueindex(STEP_MAP), MAP_POOL);
    pool_end(L, pool, lua_gettop(L));
    lua_settop(L, 0);
}

/* `context`: 0 where a step begins; 1 where the generator, which had yielded, has returned or
 * raised an error, with this `status`. */
static int continue_step(lua_State *L, int status, lua_KContext context)
{
    struct map *map = lua_touserdata(L, lua_upvalueindex(STEP_MAP));
    if (context == 0)
        enter_step(L, map);
    if (map->pool && map->pool->in_place)
        return step_in_place(L, map->pool, map, context == 1, status);
    if (context == 1)
        end_pull(L, map, status);
    /* Whether pool_note was called since tasks were last pulled: if so, the next turn looks around,
     * and sleeps if there is nothing to do. It is also set when a generator that had yielded
     * returns; the note is older then, so that the sleep ends at once if anything has come in. */
    bool noted = context != 0;
    for (;;) {
        struct pool *pool = map->pool;
        if (!pool)
            return map->failed ? raise_map(L, map) : 0;
        if (map->pulling)
            return raise_pulling(L);
        uint32_t count;
        struct worker *worker;
        struct outcome outcome;
        if (noted || pool->until_look == 0 || clock_coarse() != pool->tick) {
            pool_look_around(pool);
            while (map->pool && pool_may_pull(pool) && (noted || !pool_has_plenty(pool)) &&
                   (worker = pool_hungry(pool, &count))) {
                end_pull(L, map,
                         pool->trace ? pull_noted(L, map, worker, count)
                                     : pull_batch(L, map, worker, count));
                noted = false;
                if (clock_coarse() != pool->tick)
                    /* The generator is slow: results are looked at before it is called again. */
                    break;
            }
            if (!map->pool)
                continue;
        }
        if (pool_next(pool, &outcome))
            return deliver(L, pool, map, &outcome);
        if (map->exhausted && map->delivered == map->pulled)
            return map->failed ? raise_map(L, map) : map_finish(L, map, lua_upvalueindex(STEP_MAP));
        signal_raise_if_pending(L); /* may run a hook, which may end the map */
        if (!map->pool)
            continue;
        if (pool->broken)
            return raise_broken(L, pool, map);
        if (map->deadline && clock_nanoseconds() >= map->deadline)
            return map_finish(L, map, lua_upvalueindex(STEP_MAP));
        if (noted)
            pool_wait(pool, map->deadline ? 10 : -1); /* looks at the deadline every 10 ms */
        pool_note(pool);
        noted = true;
    }
}

/* Measures how long the caller's code takes between two steps. Asking for the time costs a good
 * part of a delivery, so a quick caller is timed less and less often, and a slow one always. Says
 * whether the coarse clock still shows the time of the last look around. */
static bool look_at_clock(struct pool *pool)
{
    uint64_t now = clock_coarse();
    bool quick = now == pool->returned_at;
    if (!quick && pool->returned_at)
        pool->caller_time = now - pool->returned_at > pool->caller_time
                                ? now - pool->returned_at
                                : pool->caller_time - pool->caller_time / 8;
    pool->returned_at = now;
    pool->clock_interval = !quick ? 1 : pool->clock_interval < 16 ? pool->clock_interval * 2 : 16;
    pool->until_clock = pool->clock_interval;
    return now == pool->tick;
}

static inline int step(lua_State *L, struct pool *pool, struct map *map)
{
    if (pool->in_place) {
        lua_settop(L, 0);
        return continue_step(L, LUA_OK, 0);
    }
    if (pool->delivering) /* a finalizer is running inside of pool_deliver_scalar */
        pool_refuse_finalizer(L);
    if ((pool->until_clock || look_at_clock(pool)) && pool->until_look &&
        pool->forks == fork_count && pool_deliver_scalar(pool, map, L)) {
        pool->until_clock--;
        pool->until_look--;
        return 2;
    }
    lua_settop(L, 0);
    int count = continue_step(L, LUA_OK, 0);
    pool->returned_at = clock_coarse();
    pool->until_clock = pool->clock_interval;
    return count;
}

int map_step(lua_State *L)
{
    struct map *map = lua_touserdata(L, lua_upvalueindex(STEP_MAP));
    struct pool *pool = map->pool;
    if (!pool)
        return 0;
    if (!pool->trace)
        return step(L, pool, map);
    pool_trace_enter(pool);
    int count = step(L, pool, map);
    if (map->pool)
        pool_trace_leave(pool);
    return count;
}

/* --- in place --- */

/* Pushes the next task, or calls the generator, which may yield; false at a sequence's end. */
static bool push_task(lua_State *L, struct map *map, int *status)
{
    if (map->length >= 0) {
        if (map->pulled >= (uint64_t)map->length)
            return false;
        lua_geti(L, lua_upvalueindex(STEP_FUNCTION), (lua_Integer)map->pulled + 1);
        return true;
    }
    map->pulling = true;
    lua_pushvalue(L, lua_upvalueindex(STEP_FUNCTION));
    lua_pushvalue(L, lua_upvalueindex(STEP_STATE));
    lua_getiuservalue(L, lua_upvalueindex(STEP_MAP), MAP_CONTROL);
    *status = lua_pcallk(L, 2, LUA_MULTRET, 0, 1, continue_step);
    return true;
}

/* Shows that the next task is in progress, because nothing is drawn while it runs. */
static void show_own_task(struct pool *pool, const struct map *map)
{
    if (!pool->progress || (map->delivered > 0 && clock_coarse() == pool->tick))
        return;
    pool->tick = clock_coarse();
    struct progress_state state = {.in_progress = 1, .finished = map->delivered};
    if (map->delivered == 0)
        progress_set_ahead(pool->progress, &state);
    else
        progress_set(pool->progress, &state);
}

/* One step of a map without workers. `returned`: the generator has just returned, or raised, with
 * this `status`. */
static int step_in_place(lua_State *L, struct pool *pool, struct map *map, bool returned,
                         int status)
{
    if (!returned) {
        signal_raise_if_pending(L);
        if (map->pulling)
            return raise_pulling(L);
        if (!push_task(L, map, &status))
            return map_finish(L, map, lua_upvalueindex(STEP_MAP));
    }
    map->pulling = false;
    if (status != LUA_OK && status != LUA_YIELD) {
        lua_setiuservalue(L, lua_upvalueindex(STEP_MAP), MAP_ERROR);
        return raise_map(L, map);
    }
    if (!map->pool)
        return 0;
    if (map->length < 0) {
        if (lua_gettop(L) == 0 || lua_isnil(L, 1))
            return map_finish(L, map, lua_upvalueindex(STEP_MAP));
        lua_pushvalue(L, 1);
        lua_setiuservalue(L, lua_upvalueindex(STEP_MAP), MAP_CONTROL);
        map_number_task(L, map, 1);
    }
    struct buffer out = pool->result;
    pool->result = (struct buffer){0};
    out.length = 0;
    struct outcome outcome = {.index = ++map->pulled + map->shift};
    lua_getiuservalue(L, lua_upvalueindex(STEP_MAP), MAP_POOL);
    lua_insert(L, -2);
    show_own_task(pool, map);
    if (lua_isnil(L, -1) || !inplace_run(L, pool, pool->maps, &outcome, &out)) {
        map_name_task(L, outcome.index);
        struct failure failure = {.message = lua_tostring(L, -1), .reason = "error", .status = -1};
        failure_encode(L, &failure, &out);
        outcome.kind = RESULT_ERROR;
        outcome.bytes = out.data;
        outcome.length = out.length;
    }
    /* The buffer is put back for the next task before anything can raise. */
    pool->result = out;
    /* The program was interrupted, even if its task caught that error. */
    signal_raise_if_pending(L);
    return map->pool ? deliver(L, pool, map, &outcome) : 0;
}
