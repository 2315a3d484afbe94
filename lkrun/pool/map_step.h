/* The iterator of a map, which a generic `for` runs. */
#ifndef LKRUN_MAP_STEP_H
#define LKRUN_MAP_STEP_H

#include <lua.h>

int map_step(lua_State *L); /* a closure over the STEP_VALUES */

#endif
