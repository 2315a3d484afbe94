/* Results and errors of tasks, as the Lua values that the caller gets. */
#ifndef LKRUN_OUTCOME_H
#define LKRUN_OUTCOME_H

#include <stdbool.h>
#include <stdint.h>
#include <lua.h>
#include "pool/map_state.h"
#include "pool/pool_state.h"

/* Pushes the values of an outcome, and puts their number into *count. False: the task failed, and a
 * table of the error's fields is pushed instead. The outcome may lie in a ring, so no code of the
 * user's may run before outcome_finish. */
bool outcome_push(lua_State *L, struct pool *pool, struct outcome *outcome, int *count);
/* Replaces the table of an error's fields, on top of the stack, by the error object that the
 * invoker's make_error makes of it. `delivered`: how many results were delivered before. */
void outcome_make_error(lua_State *L, int pool_index, const struct outcome *outcome,
                        uint64_t delivered);

#endif
