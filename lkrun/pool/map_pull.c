/* Pulling tasks from Lua: from a sequence, or a generator, which may yield.
 *
 * What always holds: a task counts as pulled once it is safely on a ring or in the backlog, or is
 * stored as one that failed because it can't be sent; and there is room for its result. */
#include "pool/map_pull.h"

#include <lauxlib.h>

#include "base/util.h"
#include "memory/segment.h"
#include "pool/flight.h"
#include "pool/map_state.h"
#include "pool/pool_dispatch.h"
#include "pool/pool_result.h"
#include "pool/pool_scalar.h"
#include "pool/pool_state.h"
#include "worker/failure.h"
#include "worker/worker_shared.h"

void map_name_task(lua_State *L, uint64_t index)
{
    const char *said =
        lua_isnil(L, -1) ? "task: nil cannot be sent; lk.null can" : lua_tostring(L, -1);
    lua_pushfstring(L, "task[%I]%s", (LUAI_UACINT)index, said + strlen("task"));
}

/* Takes the value on top, which pool_submit_scalar did not take, as the next task; it goes to this
 * worker if that has room. */
static void queue_task(lua_State *L, struct pool *pool, struct map *map, struct worker *worker)
{
    struct flight flight = {.index = map->pulled + 1 + map->shift};
    if (map->slots)
        map->slots[flight.index & (map->capacity - 1)].state = SLOT_QUEUED;
    bool sent = !lua_isnil(L, -1) && pool_submit(pool, L, lua_gettop(L), "task", &flight, worker);
    map->pulled++;
    if (sent)
        return;
    map_name_task(L, flight.index);
    struct buffer bytes = {0};
    struct failure failure = {.message = lua_tostring(L, -1), .reason = "error", .status = -1};
    failure_encode(L, &failure, &bytes);
    struct outcome outcome = {
        .index = flight.index, .kind = RESULT_ERROR, .bytes = bytes.data, .length = bytes.length};
    pool_store(pool, &flight, &outcome);
    buffer_free(&bytes);
}

void map_number_task(lua_State *L, struct map *map, int index)
{
    if (!map->numbered)
        return;
    uint64_t shift = (uint64_t)luaL_checkinteger(L, index) - map->pulled - 1;
    if (map->pulled > 0 && shift != map->shift && (map->slots || (int64_t)(shift - map->shift) < 0))
        luaL_error(L, "the tasks are not numbered in order");
    map->shift = shift;
}

/* The stack of map_pull: its arguments, then what the generator returned. That is taken off the
 * stack only after some calls, because taking it off each time would cost more. */
enum { PULL_MAP = 1, PULL_FUNCTION, PULL_STATE, PULL_CONTROL, PULL_WORKER };
#define PULL_STACK 12 /* values above the arguments, at most, when the generator is called */

/* How many tasks a worker that is awake gets at once, and how many are pulled between two looks at
 * the clock. */
#define PULL_PORTION 32
/* The first tasks of a map are published one by one, because nothing is known yet of how fast its
 * generator is. */
#define FIRST_TASKS 64

/* Called after each task that was pulled; `left` is how many of the batch are still to be pulled.
 * Says whether to end the batch here. */
static bool end_portion(struct pool *pool, struct map *map, struct worker *worker, lua_Integer left)
{
    /* Tasks of more than 10 µs, and tasks of a generator that is slow or not known yet, are
     * published at once. Others are published in portions, and only while the worker is awake:
     * waking it takes long, and is done once for the whole batch. */
    bool slow =
        pool->mean == 0 || pool->mean > 10000 || map->pulled < FIRST_TASKS || map->slow_generator;
    if (!slow && left % PULL_PORTION)
        return false;
    if (slow || !atomic_load_explicit(&worker->shared->bell.asleep, memory_order_relaxed))
        pool_publish(worker);
    map->slow_generator = clock_coarse() != pool->tick;
    return map->slow_generator;
}

static int pull_sequence(lua_State *L, struct pool *pool, struct map *map, struct worker *worker)
{
    bool enough = false;
    lua_Integer left = map->wanted;
    while (!enough && left > 0 && map->pulled < (uint64_t)map->length) {
        lua_geti(L, PULL_FUNCTION, (lua_Integer)map->pulled + 1); /* may run the user's __index */
        if (!map->pool)
            return 0; /* the invoker was shut down meanwhile */
        int top = lua_gettop(L);
        if (pool_submit_scalar(pool, L, top, map->pulled + 1 + map->shift, worker)) {
            map->pulled++;
        } else {
            queue_task(L, pool, map, worker);
            enough = segments_crowd(OUTBOUND);
        }
        if (top > PULL_WORKER + PULL_STACK)
            lua_settop(L, PULL_WORKER);
        enough = end_portion(pool, map, worker, --left) || enough;
    }
    if (map->pulled >= (uint64_t)map->length)
        map->exhausted = true;
    pool_publish(worker);
    lua_settop(L, PULL_CONTROL);
    return 1;
}

static int continue_pull(lua_State *L, int status, lua_KContext left);

int map_pull(lua_State *L)
{
    struct map *map = lua_touserdata(L, PULL_MAP);
    if (!pool_make_room(map->pool, map, map->wanted))
        return luaL_error(L, "not enough memory");
    if (map->length >= 0)
        return pull_sequence(L, map->pool, map, lua_touserdata(L, PULL_WORKER));
    return continue_pull(L, LUA_OK, (lua_KContext)map->wanted << 8);
}

/* Calls the generator, without arguments if it takes none. */
static void call_generator(lua_State *L, const struct map *map, lua_KContext context)
{
    lua_pushvalue(L, PULL_FUNCTION);
    if (!map->takes_nothing) {
        lua_pushvalue(L, PULL_STATE);
        lua_pushvalue(L, PULL_CONTROL);
    }
    lua_callk(L, map->takes_nothing ? 0 : 2, LUA_MULTRET, context, continue_pull);
}

/* `context`: tasks left to pull, times 256; plus, when the generator has just returned, the stack
 * index of its first value. */
static int continue_pull(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    struct map *map = lua_touserdata(L, PULL_MAP);
    struct worker *worker = lua_touserdata(L, PULL_WORKER);
    lua_KContext left = context >> 8;
    int first = context & 0xFF, top = PULL_WORKER;
    bool enough = false;
    while (first || (left > 0 && !enough)) {
        if (!first) {
            first = top + 1;
            call_generator(L, map, left << 8 | first);
        }
        struct pool *pool = map->pool;
        if (!pool)
            return 0; /* the invoker was shut down meanwhile */
        top = lua_gettop(L);
        if (top < first || (top > first && lua_isnil(L, first))) {
            map->exhausted = true;
            break;
        }
        if (!map->takes_nothing)
            lua_copy(L, first, PULL_CONTROL);
        if (map->numbered && !lua_isnil(L, first))
            map_number_task(L, map, first);
        if (pool_submit_scalar(pool, L, top, map->pulled + 1 + map->shift, worker)) {
            map->pulled++;
        } else if (lua_isnil(L, first)) {
            map->exhausted = true;
            break;
        } else {
            queue_task(L, pool, map, worker);
            enough = segments_crowd(OUTBOUND);
        }
        if (top > PULL_WORKER + PULL_STACK)
            lua_settop(L, top = PULL_WORKER);
        first = 0;
        enough = end_portion(pool, map, worker, --left) || enough;
    }
    pool_publish(worker);
    lua_settop(L, PULL_CONTROL);
    return 1;
}
