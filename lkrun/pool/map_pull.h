/* Pulling tasks from Lua. */
#ifndef LKRUN_MAP_PULL_H
#define LKRUN_MAP_PULL_H

#include <stdint.h>
#include <lua.h>
#include "pool/map_state.h"

/* pull(map, f, s, control, worker): pulls up to map->wanted tasks for this worker, and returns the
 * new control value. Its errors are the generator's. */
int map_pull(lua_State *L);
/* The generator gave its values, the first at `index`: what the task's index is. */
void map_number_task(lua_State *L, struct map *map, int index);
/* On top is what the codec said of a task it calls "task", or nil, the task itself: pushes the
 * message with the task's index in it. */
void map_name_task(lua_State *L, uint64_t index);

#endif
