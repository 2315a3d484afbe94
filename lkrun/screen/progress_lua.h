/* lk.invoke_progress: a display as a Lua object. */
#ifndef LKRUN_PROGRESS_LUA_H
#define LKRUN_PROGRESS_LUA_H

#include <lua.h>

#include "screen/progress.h"

/* The display of the Lua object at this index. Raises where the value is none, and
 * where the display was made by the process that this one was forked from: a task can't
 * move its parent's display. */
struct progress *progress_check(lua_State *L, int index);

#endif
