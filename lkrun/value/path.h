/* Where a value stands inside another, as a Lua program would write it: task[3].name["a b"]. */
#ifndef LKRUN_PATH_H
#define LKRUN_PATH_H

#include <stddef.h>
#include <lua.h>

#define PATH_SIZE 800 /* bytes that any path fits in: a longer one loses its middle */

/* Writes `root` and then the `count` keys at stack indices first, first + step, … into `text`.
 * Allocates nothing in Lua, and never raises. */
void path_write(lua_State *L, const char *root, int first, int step, size_t count,
                char text[PATH_SIZE]);

#endif
