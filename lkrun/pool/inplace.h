/* One job: tasks run in the host itself. */
#ifndef LKRUN_INPLACE_H
#define LKRUN_INPLACE_H

#include <stdbool.h>
#include <stdint.h>
#include <lua.h>
#include "base/util.h"
#include "pool/map_state.h"
#include "pool/pool_state.h"

/* Runs the task on top of the stack; below it is the invoker. `ordinal`: the number of the map, 0
 * for a future. outcome->index is set by the caller; kind, bytes (in `out`) and length are filled
 * in. False, with a message pushed, when the task is a value that can't be sent. */
bool inplace_run(lua_State *L, struct pool *pool, uint64_t ordinal, struct outcome *outcome,
                 struct buffer *out);

#endif
