/* What the build puts inside the executable: the Lua modules as text, the C modules by name, and
 * the tables of methods and functions that the files of a class export for Lua. */
#ifndef LKRUN_EMBEDDED_H
#define LKRUN_EMBEDDED_H

#include <lua.h>
#include <lauxlib.h>

struct embedded_lua {
    const char *name; /* as in require: "lkrun.log" */
    const char *path; /* in the source tree; it is the chunk's name, too */
    const char *text; /* first byte */
    const char *end;  /* one past the last */
};

extern const struct embedded_lua embedded_lua[]; /* ends with a NULL name */
extern const luaL_Reg embedded_core[];           /* "lkrun.core.X" → luaopen_lkrun_core_X */

/* Every table CLASS_methods or CLASS_FILE_methods of the sources, and the same of functions. A NULL
 * ends each list. */
extern const luaL_Reg *const embedded_tensor_methods[];
extern const luaL_Reg *const embedded_tensor_functions[];
extern const luaL_Reg *const embedded_sparse_methods[];
extern const luaL_Reg *const embedded_sparse_functions[];
extern const luaL_Reg *const embedded_linalg_functions[];

#endif
