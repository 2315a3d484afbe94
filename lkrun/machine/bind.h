/* LK_BIND: which worker runs where. */
#ifndef LKRUN_BIND_H
#define LKRUN_BIND_H

#include <stdbool.h>
#include <stddef.h>
#include <lua.h>

/* Raises when LK_BIND is no way to bind. */
void bind_check_environment(lua_State *L);

/* Before the fork of `jobs` workers of `threads` threads each: plans by LK_BIND, says at level
 * debug who goes where, and spreads the region over the NUMA nodes that workers run on. False, with
 * `reason` set, when the machine can't be looked at. */
bool bind_prepare(int jobs, int threads, char *reason, size_t size);
/* In a worker: goes where the plan says, if there is one. */
void bind_enter_worker(int place);
/* In the host, after the fork. */
void bind_forget(void);

#endif
