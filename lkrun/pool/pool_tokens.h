/* Which workers may run where make's jobserver counts. */
#ifndef LKRUN_POOL_TOKENS_H
#define LKRUN_POOL_TOKENS_H

#include <stdbool.h>
#include "pool/pool_state.h"

bool pool_holds_token(const struct pool *pool, const struct worker *worker);
static inline bool worker_may_run(const struct pool *pool, const struct worker *worker)
{
    return !pool->limited || pool_holds_token(pool, worker);
}
/* Takes tokens that are there for workers that have none, if there is work for them, and gives back
 * those that were of no use for a while. Says whether a worker got one. */
bool pool_trade_tokens(struct pool *pool);
/* What to poll for more of them; -1: nothing. */
int pool_token_descriptor(const struct pool *pool);
int pool_token_tick(const struct pool *pool); /* milliseconds until one goes back; -1: none does */
/* Gives back those of all workers that run nothing, or, when the pool has ended, of all. */
void pool_give_tokens(struct pool *pool);

#endif
