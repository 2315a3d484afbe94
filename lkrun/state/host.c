#include "state/host.h"

#include <string.h>

#include "memory/collector.h"
#include "state/embedded.h"

static int load_embedded(lua_State *L)
{
    const struct embedded_lua *module = lua_touserdata(L, lua_upvalueindex(1));
    const char *chunk_name = lua_pushfstring(L, "@%s", module->path);
    if (luaL_loadbufferx(L, module->text, (size_t)(module->end - module->text), chunk_name, "t") !=
        LUA_OK)
        return lua_error(L);
    lua_pushstring(L, module->name);
    lua_call(L, 1, 1);
    return 1;
}

void host_preload(lua_State *L)
{
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    for (const struct embedded_lua *module = embedded_lua; module->name; module++) {
        lua_pushlightuserdata(L, (void *)module);
        lua_pushcclosure(L, load_embedded, 1);
        lua_setfield(L, -2, module->name);
    }
    for (const luaL_Reg *module = embedded_core; module->name; module++) {
        lua_pushcfunction(L, module->func);
        lua_setfield(L, -2, module->name);
    }
    lua_pop(L, 1);
    collector_install(L);
}

int host_open(lua_State *L, const char *name)
{
    host_preload(L);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    lua_getfield(L, -1, name);
    lua_pushstring(L, name);
    lua_call(L, 1, 1);
    return 1;
}

/* What `require "lkrun"` calls in a stock Lua, which finds core.so as lkrun.so. */
__attribute__((visibility("default"))) int luaopen_lkrun(lua_State *L);
int luaopen_lkrun(lua_State *L)
{
    return host_open(L, "lkrun");
}
