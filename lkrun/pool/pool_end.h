/* Finding the pool of an invoker's userdata, and shutting an invoker down. */
#ifndef LKRUN_POOL_END_H
#define LKRUN_POOL_END_H

#include <lua.h>
#include "pool/pool_state.h"

struct pool *pool_check(lua_State *L, int index); /* an open invoker of this process, or raises */
void pool_end(lua_State *L, struct pool *pool, int index); /* shuts down the invoker there */

#endif
