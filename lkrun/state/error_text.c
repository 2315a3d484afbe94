#include "state/error_text.h"

#include <stdbool.h>
#include <string.h>
#include <lauxlib.h>

#include "machine/signals.h"

/* (name, value) → what this function of lua/lkrun/internal/raised.lua gives for the value */
static int call_raised(lua_State *L)
{
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    if (lua_getfield(L, -1, "lkrun.internal.raised") == LUA_TNIL) {
        lua_getfield(L, -2, LUA_GNAME);
        lua_getfield(L, -1, "require");
        lua_pushliteral(L, "lkrun.internal.raised");
        lua_call(L, 1, 1);
    }
    lua_pushvalue(L, 1);
    lua_gettable(L, -2);
    lua_replace(L, 1);
    lua_settop(L, 2);
    lua_call(L, 1, 1);
    return 1;
}

/* Pushes the string that this function of raised.lua gives for the value at this index. False,
 * pushing nothing, where it gives none or fails: there may be no memory or no stack left. If an
 * interruption comes meanwhile, it pushes that error's text. */
static bool push_raised(lua_State *L, const char *function, int index)
{
    lua_pushcfunction(L, call_raised);
    lua_pushstring(L, function);
    lua_pushvalue(L, index);
    if (lua_pcall(L, 2, 1, 0) == LUA_OK ? lua_type(L, -1) == LUA_TSTRING
                                        : signal_is_interruption(lua_tostring(L, -1)))
        return true;
    lua_pop(L, 1);
    return false;
}

/* Whether this is Lua's message on something that is nil, such as "attempt to call a nil value
 * (field 'mpa')". */
static bool is_of_nil(lua_State *L, int index)
{
    return lua_type(L, index) == LUA_TSTRING && strstr(lua_tostring(L, index), "a nil value (");
}

static bool has_own_text(lua_State *L, int index)
{
    bool has = lua_isstring(L, index) || luaL_getmetafield(L, index, "__tostring") != LUA_TNIL;
    if (has && !lua_isstring(L, index))
        lua_pop(L, 1);
    return has;
}

const char *push_error_text(lua_State *L, int index)
{
    if (is_of_nil(L, index) && push_raised(L, "with_meant", index))
        return lua_tostring(L, -1);
    if (has_own_text(L, index))
        return luaL_tolstring(L, index, NULL);
    if (lua_istable(L, index) && push_raised(L, "text_of", index))
        return lua_tostring(L, -1);
    return lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, index));
}
