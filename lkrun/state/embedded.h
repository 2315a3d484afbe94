/* What the build puts inside the executable: the Lua modules as text, the C modules by name. */
#ifndef LKRUN_EMBEDDED_H
#define LKRUN_EMBEDDED_H

#include <lua.h>
#include <lauxlib.h>

struct embedded_lua {
    const char *name; /* as in require: "lkrun.log" */
    const char *path; /* where it stood in the source tree; the chunk name */
    const char *text; /* first byte */
    const char *end;  /* one past the last */
};

extern const struct embedded_lua embedded_lua[]; /* ends with a NULL name */
extern const luaL_Reg embedded_core[];           /* "lkrun.core.X" → luaopen_lkrun_core_X */

#endif
