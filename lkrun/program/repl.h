/* The prompt. */
#ifndef LKRUN_REPL_H
#define LKRUN_REPL_H

#include <lua.h>

/* Reads, runs and prints until the input ends or SIGTERM comes; gives the exit status. */
int repl_run(lua_State *L);

#endif
