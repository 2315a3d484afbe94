/* Pulling tasks from Lua. */
#ifndef LKRUN_MAP_PULL_H
#define LKRUN_MAP_PULL_H

#include <stdint.h>
#include <lua.h>
#include "pool/map_state.h"

/* pull(map, f, s, control, worker): pulls up to map->wanted tasks for this worker, and returns the
 * new control value. Its errors are the generator's. */
int map_pull(lua_State *L);
/* Where the generator numbers its tasks: takes the index of the next task from its first value, at
 * this stack index. Raises where that is out of order. */
void map_number_task(lua_State *L, struct map *map, int index);
/* On top of the stack is the codec's message, which begins with "task", or the task itself if that
 * is nil. Pushes a message that begins with "task[index]". */
void map_name_task(lua_State *L, uint64_t index);

#endif
