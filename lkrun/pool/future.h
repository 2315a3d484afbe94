/* Single tasks outside a map. */
#ifndef LKRUN_FUTURE_H
#define LKRUN_FUTURE_H

#include <lua.h>

void future_register(lua_State *L);
int future_submit(lua_State *L); /* invoker:submit(task) */

#endif
