/* The userdata behind a map's iterator: making it begins the map; the end of the loop closes it,
 * which ends the map. */
#include "pool/map.h"

#include <stdio.h>
#include <unistd.h>
#include <lauxlib.h>

#include "base/util.h"
#include "pool/map_end.h"
#include "pool/map_state.h"
#include "pool/map_step.h"
#include "pool/pool_fault.h"
#include "pool/pool_state.h"
#include "pool/pool_timeline.h"
#include "screen/progress.h"

#define MAP_CLASS "lkrun.map"

static int map_close(lua_State *L)
{
    map_finish(L, luaL_checkudata(L, 1, MAP_CLASS), 1);
    return 0;
}

/* A map whose loop has ended was closed then, and has no pool any more. */
static int map_gc(lua_State *L)
{
    struct map *map = luaL_checkudata(L, 1, MAP_CLASS);
    if (map->pool && map->pool->work.owner == getpid())
        map_warn_unused(map);
    if (!map->pool || map->pool->work.owner == getpid())
        map_finish(L, map, 1);
    return 0;
}

/* Whether the function at this index never sees an argument. */
static bool takes_nothing(lua_State *L, int index)
{
    lua_Debug about;
    if (!lua_isfunction(L, index))
        return false;
    lua_pushvalue(L, index);
    lua_getinfo(L, ">u", &about);
    return about.nparams == 0 && !about.isvararg;
}

int map_open(lua_State *L, struct pool *pool, int64_t length, bool numbered)
{
    if (pool->map && map_is_unused(pool->map))
        return raise_error(L, "invoker:map",
                           "the map made before%s%s has not begun; it is a loop that runs the "
                           "tasks, `for i, result in inv:map(tasks) do`",
                           *pool->map->where ? " at " : "", pool->map->where);
    if (pool->map)
        return raise_error(L, "invoker:map",
                           "a map of this invoker is running; finish its loop first, "
                           "or make a second invoker");
    if (!pool->in_place)
        pool_refill(pool);
    if (pool->broken)
        return raise_error(L, "invoker:map", "%s", pool->reason);
    struct map *map = lua_newuserdatauv(L, sizeof *map, MAP_VALUES);
    *map = (struct map){.pool = pool,
                        .length = length,
                        .numbered = numbered,
                        .takes_nothing = length < 0 && takes_nothing(L, 2)};
    luaL_setmetatable(L, MAP_CLASS);
    int index = lua_gettop(L);
    if (push_program_position(L, false)) {
        snprintf(map->where, sizeof map->where, "%s", lua_tostring(L, -1));
        lua_pop(L, 1);
    }
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, index, MAP_POOL);
    lua_pushvalue(L, 5);
    lua_setiuservalue(L, index, MAP_CLOSING);
    lua_pushvalue(L, 4);
    lua_setiuservalue(L, index, MAP_CONTROL);
    pool->map = map;
    pool->maps++;
    pool->until_look = 0;
    pool->returned_at = 0;
    if (pool->trace)
        pool_trace_map(pool, true);
    if (!pool->in_place)
        atomic_store_explicit(&pool->work.shared->ordinal, pool->maps, memory_order_relaxed);
    lua_getiuservalue(L, 1, POOL_PROGRESS);
    if (lua_toboolean(L, -1) && !lua_isuserdata(L, -1))
        pool->progress = progress_open(NULL, NULL, length, NULL);
    lua_pop(L, 1);
    lua_pushvalue(L, index);
    lua_pushvalue(L, 2);
    lua_pushvalue(L, 3);
    lua_pushcclosure(L, map_step, STEP_VALUES);
    lua_pushnil(L);
    lua_pushnil(L);
    lua_pushvalue(L, index);
    return 4;
}

void map_register(lua_State *L)
{
    static const luaL_Reg methods[] = {{"__gc", map_gc}, {"__close", map_close}, {NULL, NULL}};
    register_class(L, MAP_CLASS, methods);
}
