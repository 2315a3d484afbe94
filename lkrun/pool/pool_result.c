/* What always holds: a map has room for the results of all tasks that it pulled, and a result has
 * one owner: the ring it came on, a slot, the ready list, or a future. */
#include "pool/pool_result.h"

#include <stdlib.h>
#include <string.h>
#include <lauxlib.h>

#include "memory/segment.h"
#include "pool/flight.h"
#include "pool/map_state.h"
#include "pool/pool_state.h"
#include "worker/worker_shared.h"

static bool grow_slots(struct map *map, uint64_t capacity)
{
    struct task_slot *slots = calloc(capacity, sizeof *slots);
    if (!slots)
        return false;
    for (uint64_t i = map->delivered + 1 + map->shift; i <= map->pulled + map->shift; i++)
        slots[i & (capacity - 1)] = map->slots[i & (map->capacity - 1)];
    free(map->slots);
    map->slots = slots;
    map->capacity = capacity;
    return true;
}

static bool grow_ready(struct map *map, uint64_t capacity)
{
    struct outcome *ready = malloc(capacity * sizeof *ready);
    if (!ready)
        return false;
    for (uint64_t i = 0; i < map->ready_count; i++)
        ready[i] = map->ready[(map->ready_first + i) & (map->capacity - 1)];
    free(map->ready);
    map->ready = ready;
    map->capacity = capacity;
    map->ready_first = 0;
    return true;
}

bool pool_make_room(struct pool *pool, struct map *map, uint64_t more)
{
    uint64_t want = map->pulled - map->delivered + more, capacity = 64;
    if (want < map->capacity)
        return true;
    while (capacity <= want)
        capacity *= 2;
    return pool->work.options.ordered ? grow_slots(map, capacity) : grow_ready(map, capacity);
}

/* Makes the outcome an empty error, because there was no memory for its bytes. */
static void forget_bytes(struct outcome *outcome)
{
    segments_free(&outcome->segments);
    outcome->kind = RESULT_ERROR;
    outcome->length = 0;
}

/* Gives the outcome a copy of its bytes, which it owns. Without memory for that it becomes an empty
 * error, which says so. */
static void outcome_keep(struct outcome *outcome)
{
    char *copy = malloc(outcome->length + 1);
    if (!copy)
        forget_bytes(outcome);
    else if (outcome->length)
        memcpy(copy, outcome->bytes, outcome->length);
    outcome->bytes = outcome->owned = copy;
    outcome->ring_of = NULL;
}

static struct waiting_result *store(struct outcome *outcome)
{
    struct waiting_result *result = malloc(sizeof *result + outcome->length);
    if (!result) {
        forget_bytes(outcome);
        return NULL;
    }
    *result = (struct waiting_result){outcome->segments, outcome->length};
    if (outcome->length)
        memcpy(result->bytes, outcome->bytes, outcome->length);
    return result;
}

static struct future *find_future(struct pool *pool, lua_State *L, uint64_t number)
{
    struct future *future = NULL;
    if (lua_rawgeti(L, LUA_REGISTRYINDEX, pool->futures_ref) == LUA_TTABLE) {
        lua_rawgeti(L, -1, (lua_Integer)number);
        future = lua_touserdata(L, -1);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return future;
}

void pool_settle(struct pool *pool, struct outcome *outcome)
{
    struct future *future = find_future(pool, pool->L, outcome->index);
    if (!future || future->state != FUTURE_PENDING) {
        segments_free(&outcome->segments);
        return;
    }
    outcome_keep(outcome);
    future->outcome = *outcome;
    future->state = FUTURE_DONE;
}

void pool_store(struct pool *pool, const struct flight *flight, struct outcome *outcome)
{
    struct map *map = pool->map;
    if (flight->is_future) {
        pool_settle(pool, outcome);
    } else if (!map || flight->is_dropped) {
        segments_free(&outcome->segments);
    } else if (map->slots) {
        struct waiting_result *result = store(outcome);
        map->slots[flight->index & (map->capacity - 1)] = (struct task_slot){
            SLOT_STORED, (uint8_t)outcome->kind, (uint16_t)outcome->worker, result};
        pool->stored_bytes += outcome->length;
    } else {
        outcome_keep(outcome);
        map->ready[(map->ready_first + map->ready_count++) & (map->capacity - 1)] = *outcome;
        pool->stored_bytes += outcome->length;
    }
}

void pool_abandon_futures(struct pool *pool, lua_State *L)
{
    if (pool->futures_ref == LUA_NOREF)
        return;
    lua_rawgeti(L, LUA_REGISTRYINDEX, pool->futures_ref);
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        struct future *future = lua_touserdata(L, -1);
        if (future->state == FUTURE_PENDING)
            future->state = FUTURE_ABANDONED;
    }
    lua_pop(L, 1);
    luaL_unref(L, LUA_REGISTRYINDEX, pool->futures_ref);
    pool->futures_ref = LUA_NOREF;
}
