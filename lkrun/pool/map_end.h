/* How a map ends: of its tasks, of its loop, of its invoker. */
#ifndef LKRUN_MAP_END_H
#define LKRUN_MAP_END_H

#include <stdbool.h>
#include <stdint.h>
#include <lua.h>
#include "pool/map_state.h"
#include "pool/pool_state.h"

/* What has not begun is dropped, and what runs is when its result is in. */
void pool_cancel_map(struct pool *pool);
/* What has not begun is dropped, nothing more is pulled: an unordered map goes on with what runs,
 * but for no more than that many nanoseconds. */
void pool_wind_up(struct pool *pool, uint64_t nanoseconds);
/* Whether nobody ever asked the map for a result: it did nothing. */
bool map_is_unused(const struct map *map);
/* Warns of a map that is about to end unused. */
void map_warn_unused(const struct map *map);
/* Ends the map at this index, in whichever way. Gives 0, the count of values that a step returns.
 */
int map_finish(lua_State *L, struct map *map, int map_index);

#endif
