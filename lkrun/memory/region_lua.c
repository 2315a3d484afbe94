/* The region as Lua sees it: how much of it is in use, for tests and for whoever watches memory. */
#include "memory/region.h"

#include <lua.h>
#include <lauxlib.h>

static void set_bytes(lua_State *L, const char *name, size_t bytes)
{
    lua_pushinteger(L, (lua_Integer)bytes);
    lua_setfield(L, -2, name);
}

/* use() → {size, used, idle}, in bytes; see region.h */
static int use(lua_State *L)
{
    struct region_use now = region_use();
    lua_createtable(L, 0, 3);
    set_bytes(L, "size", now.size);
    set_bytes(L, "used", now.used);
    set_bytes(L, "idle", now.idle);
    return 1;
}

int luaopen_lkrun_core_region(lua_State *L);
int luaopen_lkrun_core_region(lua_State *L)
{
    static const luaL_Reg functions[] = {{"use", use}, {NULL, NULL}};
    luaL_newlib(L, functions);
    return 1;
}
