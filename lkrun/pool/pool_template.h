/* The process that forks workers. */
#ifndef LKRUN_POOL_TEMPLATE_H
#define LKRUN_POOL_TEMPLATE_H

#include <stdbool.h>
#include <lua.h>
#include "pool/pool_state.h"

/* Forks the first worker, from the host itself, so that it is at work before the template has
 * forked the others, and the template. False with errno set, and neither is there. pool->next is
 * the list of this process's other pools. */
bool template_fork(struct pool *pool, lua_State *L);

#endif
