#include "pool/map_end.h"

#include <stdlib.h>
#include <unistd.h>
#include <lauxlib.h>

#include "base/util.h"
#include "memory/segment.h"
#include "pool/flight.h"
#include "pool/map_state.h"
#include "pool/pool_dispatch.h"
#include "pool/pool_state.h"
#include "pool/pool_timeline.h"
#include "pool/pool_tokens.h"
#include "screen/log.h"
#include "screen/progress.h"

/* Frees the results of the map that wait for their turn. */
static void free_results(struct pool *pool, struct map *map)
{
    for (uint64_t i = map->delivered + 1; map->slots && i <= map->pulled; i++) {
        struct task_slot *slot = &map->slots[(i + map->shift) & (map->capacity - 1)];
        if (slot->state != SLOT_STORED || !slot->result)
            continue;
        segments_free(&slot->result->segments);
        free(slot->result);
    }
    for (uint64_t i = 0; i < map->ready_count; i++) {
        struct outcome *outcome = &map->ready[(map->ready_first + i) & (map->capacity - 1)];
        free(outcome->owned);
        segments_free(&outcome->segments);
    }
    free(map->slots);
    free(map->ready);
    map->slots = NULL;
    map->ready = NULL;
    map->ready_count = 0;
    pool->stored_bytes = 0;
}

void pool_cancel_map(struct pool *pool)
{
    struct map *map = pool->map;
    if (!map)
        return;
    if (pool->trace)
        pool_trace_map(pool, false);
    pool->map = NULL;
    map->pool = NULL;
    if (pool->started) {
        for (int i = 0; i < pool->work.options.jobs; i++) {
            struct worker *worker = &pool->workers[i];
            pool_take_back(pool, worker, 0);
            for (uint32_t k = 0; k < worker->flights.count; k++)
                if (!flights_at(&worker->flights, k)->is_future)
                    flights_at(&worker->flights, k)->is_dropped = true;
        }
        for (uint32_t k = pool->backlog.count; k; k--) {
            struct flight flight = flights_pop(&pool->backlog);
            if (flight.is_future)
                flights_push(&pool->backlog, &flight);
            else
                flight_discard(&flight);
        }
    }
    free_results(pool, map);
    pool_give_tokens(pool);
}

void pool_wind_up(struct pool *pool, uint64_t nanoseconds)
{
    struct map *map = pool->map;
    if (!map || map->slots || pool->in_place)
        return;
    map->exhausted = true;
    map->deadline = clock_nanoseconds() + nanoseconds;
    for (int i = 0; i < pool->work.options.jobs; i++)
        pool_take_back(pool, &pool->workers[i], 0);
    for (uint32_t k = pool->backlog.count; k; k--) {
        struct flight flight = flights_pop(&pool->backlog);
        if (flight.is_future) {
            flights_push(&pool->backlog, &flight);
        } else {
            flight_discard(&flight);
            map->pulled--;
        }
    }
}

bool map_is_unused(const struct map *map)
{
    return !map->pulled && !map->pulling && !map->exhausted;
}

void map_warn_unused(const struct map *map)
{
    if (map_is_unused(map))
        log_message(LOG_LEVEL_WARN,
                    "%s%sa map was never iterated, so none of its tasks ran: `for i, result in "
                    "inv:map(tasks) do`, or inv:collect(tasks)",
                    map->where, *map->where ? ": " : "");
}

/* Ends what the pool does for this map, its progress display included. */
static void stop_map(lua_State *L, struct map *map, int map_index)
{
    struct pool *pool = map->pool;
    /* This is a forked copy: the map belongs to the process that made it. */
    if (pool->work.owner != getpid()) {
        map->pool = NULL;
        return;
    }
    if (pool->progress) {
        struct progress_state state = {.finished = map->delivered};
        progress_set(pool->progress, &state);
        lua_getiuservalue(L, map_index, MAP_POOL);
        /* The default bar belongs to the map; a display that the program made does not. */
        if (lua_getiuservalue(L, -1, POOL_PROGRESS) != LUA_TUSERDATA) {
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
