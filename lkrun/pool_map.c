/* One map over an invoker: the iterator that a generic `for` runs. It pulls tasks from a Lua
 * generator, which may yield, and delivers results to the loop.
 *
 * What always holds: results are delivered as if tasks were run one after the other. An error of
 * the generator is raised when every result before it is delivered; a task that can't be sent is a
 * failed task in its place. Whatever happens inside a step, the next one finds the map in order:
 * counters change only when a task is safely queued or a result safely delivered. */
#include "pool.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <lauxlib.h>

#include "progress.h"
#include "signals.h"
#include "tensor.h"

/* Of a map, that are published one by one: how fast its generator is, is not known yet. */
#define FIRST_TASKS 64

/* --- tasks --- */

static bool grow_slots(struct map *map)
{
    uint64_t capacity = map->capacity ? map->capacity * 2 : 64;
    struct slot *slots = calloc(capacity, sizeof *slots);
    if (!slots)
        return false;
    for (uint64_t i = map->delivered + 1 + map->shift; i <= map->pulled + map->shift; i++)
        slots[i & (capacity - 1)] = map->slots[i & (map->capacity - 1)];
    free(map->slots);
    map->slots = slots;
    map->capacity = capacity;
    return true;
}

/* On top is what the codec said of a task it calls "task", or nil, the task itself: pushes the
 * message with the task's index in it. */
static void name_task(lua_State *L, uint64_t index)
{
    const char *said =
        lua_isnil(L, -1) ? "task: nil cannot be sent; lk.null can" : lua_tostring(L, -1);
    lua_pushfstring(L, "task[%I]%s", (LUAI_UACINT)index, said + strlen("task"));
}

/* Takes the value at this index, the top, as the next task, for this worker if it has room. */
static void queue_task(lua_State *L, struct pool *pool, struct map *map, struct worker *worker,
                       int index)
{
    if (pool->options.ordered && map->pulled - map->delivered + 1 >= map->capacity &&
        !grow_slots(map))
        luaL_error(L, "not enough memory");
    uint64_t number = map->pulled + 1 + map->shift;
    if (pool_submit_scalar(pool, L, index, number, worker)) {
        map->pulled++;
        return;
    }
    struct flight flight = {.index = number};
    if (map->slots)
        map->slots[flight.index & (map->capacity - 1)].state = SLOT_QUEUED;
    bool sent = !lua_isnil(L, -1) && pool_submit(pool, L, index, "task", &flight, worker);
    map->pulled++;
    if (sent)
        return;
    name_task(L, flight.index);
    struct buffer bytes = {0};
    struct failure failure = {.message = lua_tostring(L, -1), .reason = "error", .status = -1};
    failure_encode(L, &failure, &bytes);
    struct outcome outcome = {
        .index = flight.index, .kind = RESULT_ERROR, .bytes = bytes.data, .length = bytes.length};
    pool_store(pool, &flight, &outcome);
    buffer_free(&bytes);
}

/* The generator gave its values, the first at `index`: what the task's index is. */
static void number_task(lua_State *L, struct map *map, int index)
{
    if (!map->numbered)
        return;
    uint64_t shift = (uint64_t)luaL_checkinteger(L, index) - map->pulled - 1;
    if (map->pulled > 0 && shift != map->shift && (map->slots || (int64_t)(shift - map->shift) < 0))
        luaL_error(L, "the tasks are not numbered in order");
    map->shift = shift;
}

/* pull(map, f, s, control, count): pulls tasks until the worker it chose has enough, and returns
 * the new control value. Runs under a protected call; its errors are the generator's. */
enum { PULL_MAP = 1, PULL_FUNCTION, PULL_STATE, PULL_CONTROL, PULL_COUNT, PULL_WORKER };

static int continue_pull(lua_State *L, int status, lua_KContext left);

static int pull_sequence(lua_State *L, struct pool *pool, struct map *map, struct worker *worker,
                         lua_Integer left)
{
    for (; left > 0 && map->pulled < (uint64_t)map->length; left--) {
        lua_geti(L, PULL_FUNCTION, (lua_Integer)map->pulled + 1); /* may run the user's __index */
        if (!map->pool)
            return 0; /* shut down meanwhile */
        queue_task(L, pool, map, worker, PULL_WORKER + 1);
        lua_settop(L, PULL_WORKER);
        if (segments_crowd(OUTBOUND))
            break;
    }
    if (map->pulled >= (uint64_t)map->length)
        map->exhausted = true;
    pool_publish(worker);
    lua_settop(L, PULL_CONTROL);
    return 1;
}

static int pull(lua_State *L)
{
    struct map *map = lua_touserdata(L, PULL_MAP);
    lua_Integer left = lua_tointeger(L, PULL_COUNT);
    if (map->length >= 0)
        return pull_sequence(L, map->pool, map, lua_touserdata(L, PULL_WORKER), left);
    return continue_pull(L, LUA_OK, left * 2);
}

/* `context`: tasks left to pull, times 2; odd when the generator has just returned. */
static int continue_pull(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    struct map *map = lua_touserdata(L, PULL_MAP);
    struct worker *worker = lua_touserdata(L, PULL_WORKER);
    lua_KContext left = context / 2;
    bool returned = context % 2;
    for (;;) {
        if (!returned) {
            if (left == 0)
                break;
            lua_pushvalue(L, PULL_FUNCTION);
            lua_pushvalue(L, PULL_STATE);
            lua_pushvalue(L, PULL_CONTROL);
            lua_callk(L, 2, LUA_MULTRET, left * 2 + 1, continue_pull);
        }
        returned = false;
        struct pool *pool = map->pool;
        if (!pool)
            return 0; /* shut down meanwhile */
        int top = lua_gettop(L);
        if (top == PULL_WORKER || lua_isnil(L, PULL_WORKER + 1)) {
            map->exhausted = true;
            break;
        }
        lua_copy(L, PULL_WORKER + 1, PULL_CONTROL);
        number_task(L, map, PULL_WORKER + 1);
        queue_task(L, pool, map, worker, top);
        lua_settop(L, PULL_WORKER);
        left--;
        /* Long tasks, and those of a generator that is slow or not known yet, are not held up for
         * the batch. */
        bool slow = pool->mean == 0 || pool->mean > 10000 || map->pulled < FIRST_TASKS ||
                    map->slow_generator;
        if (slow)
            pool_publish(worker);
        if (slow || left % 8 == 0)
            map->slow_generator = clock_coarse() != pool->tick;
        if (map->slow_generator || segments_crowd(OUTBOUND))
            break;
    }
    pool_publish(worker);
    lua_settop(L, PULL_CONTROL);
    return 1;
}

/* --- the step function --- */

/* Ends what the pool does for this map. */
static void stop_map(lua_State *L, struct map *map, int map_index)
{
    struct pool *pool = map->pool;
    if (pool->owner != getpid()) { /* a fork's copy: the map is the other process's */
        map->pool = NULL;
        return;
    }
    if (pool->progress) {
        struct progress_state state = {.finished = map->delivered};
        progress_set(pool->progress, &state);
        lua_getiuservalue(L, map_index, MAP_POOL);
        if (lua_getiuservalue(L, -1, POOL_PROGRESS) !=
            LUA_TUSERDATA) { /* the default bar is ours */
            progress_free(pool->progress);
            pool->progress = NULL;
        }
        lua_pop(L, 2);
    }
    pool_cancel_map(pool);
}

int map_finish(lua_State *L, struct map *map, int map_index)
{
    map_index = lua_absindex(L, map_index);
    if (map->pool)
        stop_map(L, map, map_index);
    if (lua_getiuservalue(L, map_index, MAP_CLOSING) != LUA_TNIL) {
        lua_pushnil(L);
        lua_setiuservalue(L, map_index, MAP_CLOSING);
        if (luaL_getmetafield(L, -1, "__close") != LUA_TNIL) {
            lua_insert(L, -2);
            lua_pushnil(L);
            lua_call(L, 2, 0);
            return 0;
        }
    }
    lua_pop(L, 1);
    return 0;
}

static int deliver(lua_State *L, struct pool *pool, struct map *map, struct outcome *outcome)
{
    if (pool->limited && pool->away > HORIZON)
        pool_give_tokens(pool); /* the caller keeps us away for long */
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
    if (!pool->options.return_errors)
        return lua_error(L);
    lua_pushnil(L);
    lua_insert(L, 2);
    return 3;
}

static int continue_step(lua_State *L, int status, lua_KContext context);

/* Pulls a batch of tasks for a hungry worker; its end is continue_step's, too, if it yields. */
static int pull_batch(lua_State *L, struct map *map, struct worker *worker, uint32_t count)
{
    map->pulling = true;
    lua_settop(L, 0);
    lua_pushcfunction(L, pull);
    for (int i = STEP_MAP; i <= STEP_STATE; i++)
        lua_pushvalue(L, lua_upvalueindex(i));
    lua_getiuservalue(L, lua_upvalueindex(STEP_MAP), MAP_CONTROL);
    lua_pushinteger(L, count);
    lua_pushlightuserdata(L, worker);
    return lua_pcallk(L, 6, 1, 0, 1, continue_step);
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
        for (int i = 0; map->pool && i < map->pool->options.jobs; i++)
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

/* What may have happened since the last step. */
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

static int continue_step(lua_State *L, int status, lua_KContext context)
{
    struct map *map = lua_touserdata(L, lua_upvalueindex(STEP_MAP));
    if (context == 0)
        enter_step(L, map);
    if (map->pool && map->pool->in_place)
        return step_in_place(L, map->pool, map, context == 1, status);
    if (context == 1)
        end_pull(L, map, status);
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
                end_pull(L, map, pull_batch(L, map, worker, count));
                noted = false;
                if (clock_coarse() != pool->tick)
                    break; /* a slow generator: results first */
            }
            if (!map->pool)
                continue;
        }
        if (pool_next(pool, &outcome))
            return deliver(L, pool, map, &outcome);
        if (map->exhausted && map->delivered == map->pulled)
            return map->failed ? raise_map(L, map) : map_finish(L, map, lua_upvalueindex(STEP_MAP));
        signal_raise_if_pending(L); /* may run a hook */
        if (!map->pool)
            continue;
        if (pool->broken)
            return raise_broken(L, pool, map);
        if (map->deadline && clock_nanoseconds() >= map->deadline)
            return map_finish(L, map, lua_upvalueindex(STEP_MAP));
        if (noted)
            pool_wait(pool, map->deadline ? 10 : -1);
        pool_note(pool);
        noted = true;
    }
}

int map_step(lua_State *L)
{
    struct map *map = lua_touserdata(L, lua_upvalueindex(STEP_MAP));
    struct pool *pool = map->pool;
    if (!pool)
        return 0;
    if (pool->in_place) {
        lua_settop(L, 0);
        return continue_step(L, LUA_OK, 0);
    }
    if (pool->delivering)
        pool_refuse_finalizer(L);
    uint64_t now = clock_coarse();
    if (now != pool->left && pool->left)
        pool->away = now - pool->left > pool->away ? now - pool->left : pool->away - pool->away / 8;
    if (pool->until_look && now == pool->tick && pool->forks == fork_count &&
        pool_deliver_scalar(pool, L)) {
        pool->until_look--;
        pool->left = now;
        return 2;
    }
    lua_settop(L, 0);
    int count = continue_step(L, LUA_OK, 0);
    pool->left = clock_coarse();
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

/* `status`: of the generator, if it has `returned`. */
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
        number_task(L, map, 1);
    }
    struct buffer out = pool->result;
    pool->result = (struct buffer){0};
    out.length = 0;
    struct outcome outcome = {.index = ++map->pulled + map->shift};
    lua_getiuservalue(L, lua_upvalueindex(STEP_MAP), MAP_POOL);
    lua_insert(L, -2);
    if (lua_isnil(L, -1) || !inplace_run(L, pool, pool->maps, &outcome, &out)) {
        name_task(L, outcome.index);
        struct failure failure = {.message = lua_tostring(L, -1), .reason = "error", .status = -1};
        failure_encode(L, &failure, &out);
        outcome.kind = RESULT_ERROR;
        outcome.bytes = out.data;
        outcome.length = out.length;
    }
    pool->result = out;         /* back for the next task, before anything can raise */
    signal_raise_if_pending(L); /* the program was interrupted, whatever its task made of that */
    if (pool->progress && clock_coarse() != pool->tick) {
        pool->tick = clock_coarse();
        struct progress_state state = {.finished = map->delivered + 1};
        progress_set(pool->progress, &state);
    }
    return map->pool ? deliver(L, pool, map, &outcome) : 0;
}
