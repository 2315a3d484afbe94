/* Collecting garbage while workers live, without writing into what they share. See
 * collector.c for the invariants. */
#ifndef LKRUN_COLLECTOR_H
#define LKRUN_COLLECTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <lua.h>

/* Replaces `collectgarbage` in this state, so that the program's modes and parameters are known and
 * can be given back. */
void collector_install(lua_State *L);

/* To be called around the life of workers of this state; collector_hold before they are forked.
 * Calls pair up; the last release gives the program its mode and parameters back. */
void collector_hold(lua_State *L);
void collector_release(lua_State *L);
/* Whether workers live, and so only the young are collected. */
bool collector_is_held(lua_State *L);
/* Whether the last release came in a finalizer, and a hook is still to carry it out. */
bool collector_is_due(lua_State *L);

/* In a new worker, for the state it inherited. `memory_limit`: bytes that a task may take; 0: no
 * limit. */
void collector_enter_worker(lua_State *L, size_t memory_limit);

/* In a worker: whether it holds so much memory of its own that a new worker in
 * its place is better. */
bool collector_is_over_budget(void);
/* In a worker: the bytes above which that is so. */
size_t collector_budget(void);

#endif
