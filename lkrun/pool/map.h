/* Beginning a map. */
#ifndef LKRUN_MAP_H
#define LKRUN_MAP_H

#include <stdbool.h>
#include <stdint.h>
#include <lua.h>
#include "pool/pool_state.h"

/* Begins a map. Stack: the invoker, the generator's three values (or the sequence), its closing
 * value. Pushes the four values that a generic `for` takes. `length`: of a sequence; -1 for a
 * generator. `numbered`: the generator's first value is the index of the task; it grows from task
 * to task, by one where the map is ordered. */
int map_open(lua_State *L, struct pool *pool, int64_t length, bool numbered);
void map_register(lua_State *L);

#endif
