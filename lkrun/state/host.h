/* A Lua state with our modules in it. */
#ifndef LKRUN_HOST_H
#define LKRUN_HOST_H

#include <lua.h>

/* Makes every embedded module available to `require`, before any file of that name. */
void host_preload(lua_State *L);

/* For the luaopen_ functions that a stock Lua calls: preloads all modules, then loads this one. */
int host_open(lua_State *L, const char *name);

#endif
