/* Limits on what tasks may take, on the host's side. */
#ifndef LKRUN_POOL_LIMITS_H
#define LKRUN_POOL_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "pool/pool_state.h"

/* Ends workers whose task takes too much time or memory, where they can't do that themselves. */
void pool_check_limits(struct pool *pool, uint64_t now);
/* False, and the worker is ended, when room of that size for a result would be too much. */
bool pool_may_grant(const struct pool *pool, struct worker *worker, size_t bytes);
/* How often, in milliseconds, pool_check_limits is to be called; -1: there are no limits. */
int pool_limits_tick(const struct pool *pool);

#endif
