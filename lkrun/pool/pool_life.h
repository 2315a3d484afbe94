/* The life of a pool's workers as a whole: the kinds there are, their start and their end. */
#ifndef LKRUN_POOL_LIFE_H
#define LKRUN_POOL_LIFE_H

#include <stdbool.h>
#include <lua.h>
#include "pool/pool_state.h"

/* The kind that the option `workers` names; NULL: there is none of that name. */
const struct worker_kind *pool_kind(const char *name);
bool pool_start(struct pool *pool, lua_State *L); /* false: see pool->reason */
void pool_stop(struct pool *pool, lua_State *L);

#endif
