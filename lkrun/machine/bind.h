/* LK_BIND: which worker runs on which CPUs. */
#ifndef LKRUN_BIND_H
#define LKRUN_BIND_H

#include <stdbool.h>
#include <stddef.h>
#include <lua.h>

/* Raises when LK_BIND has a value other than none, core or numa. */
void bind_check_environment(lua_State *L);

/* Before the fork of `jobs` workers of `threads` threads each: plans by LK_BIND which worker runs
 * where, logs that at level debug, and spreads the region over the NUMA nodes that workers run on.
 * False, with `reason` set, when the machine's topology can't be found. */
bool bind_prepare(int jobs, int threads, char *reason, size_t size);
/* In the worker with this place, from 0: binds it to its CPUs, if there is a plan. */
void bind_enter_worker(int place);
/* In the host, after the fork: drops the plan. */
void bind_forget(void);

#endif
