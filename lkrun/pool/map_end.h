/* The end of a map: when it has no more tasks, when its loop ends, or with its invoker. */
#ifndef LKRUN_MAP_END_H
#define LKRUN_MAP_END_H

#include <stdbool.h>
#include <stdint.h>
#include <lua.h>
#include "pool/map_state.h"
#include "pool/pool_state.h"

/* Ends the running map, if there is one: tasks that have not begun are dropped, and so are the
 * results of those that run, when they come in. */
void pool_cancel_map(struct pool *pool);
/* Drops the tasks that have not begun, and pulls no more: the map goes on with those that run, for
 * that many nanoseconds at most. This is for unordered maps. */
void pool_wind_up(struct pool *pool, uint64_t nanoseconds);
/* Whether nobody ever asked the map for a result, so that it has done nothing. */
bool map_is_unused(const struct map *map);
/* Warns of a map that is about to end unused. */
void map_warn_unused(const struct map *map);
/* Ends the map at this stack index, unless it has ended, and closes its generator's closing value.
 * Gives 0, the number of values that a step returns to end its loop. */
int map_finish(lua_State *L, struct map *map, int map_index);

#endif
