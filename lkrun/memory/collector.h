/* Collecting garbage while workers live: without writing into what they share. See collector.c. */
#ifndef LKRUN_COLLECTOR_H
#define LKRUN_COLLECTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <lua.h>

/* Makes `collectgarbage` ours in this state, so that the program's modes and parameters are known
 * and can be given back. */
void collector_install(lua_State *L);

/* Around the life of workers of this state: calls pair up, the last release gives the program its
 * mode and parameters back. Before the fork. */
void collector_hold(lua_State *L);
void collector_release(lua_State *L);
bool collector_is_held(lua_State *L); /* so only the young are collected */
bool collector_is_due(lua_State *L);  /* the last release is still to be done, by a hook of ours */

/* In a new worker, on the state it inherited. The limit is on what a task may take; 0: none. */
void collector_enter_worker(lua_State *L, size_t memory_limit);

/* In a worker: whether what it holds of its own is worth more than starting afresh. */
bool collector_is_over_budget(void);
/* … the bytes above which that is so. */
size_t collector_budget(void);

#endif
