/* lk.clock. */
#include "base/util.h"

static int l_clock(lua_State *L)
{
    lua_pushnumber(L, clock_seconds());
    return 1;
}

int luaopen_lkrun_core_clock(lua_State *L);
int luaopen_lkrun_core_clock(lua_State *L)
{
    lua_pushcfunction(L, l_clock);
    return 1;
}
