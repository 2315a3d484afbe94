/* Results and errors of tasks, as the Lua values that the caller gets. */
#ifndef LKRUN_OUTCOME_H
#define LKRUN_OUTCOME_H

#include <stdbool.h>
#include <stdint.h>
#include <lua.h>
#include "pool/map_state.h"
#include "pool/pool_state.h"

/* Pushes the values of an outcome and gives their number; false: a table of an error's fields is
 * pushed instead. The outcome may lie in a ring, so no code of the user's runs before
 * outcome_finish. */
bool outcome_push(lua_State *L, struct pool *pool, struct outcome *outcome, int *count);
/* Makes an error object of these fields, on top. */
void outcome_make_error(lua_State *L, int pool_index, const struct outcome *outcome,
                        uint64_t delivered);

#endif
