/* Which workers may run where make's jobserver counts. */
#ifndef LKRUN_POOL_TOKENS_H
#define LKRUN_POOL_TOKENS_H

#include <stdbool.h>
#include "pool/pool_state.h"

/* Whether the worker has a token, the one that every recipe is given included. */
bool pool_holds_token(const struct pool *pool, const struct worker *worker);
static inline bool worker_may_run(const struct pool *pool, const struct worker *worker)
{
    return !pool->limited || pool_holds_token(pool, worker);
}
/* Takes free tokens for workers that have none, if there is work for them, and gives back those
 * that were not used for a while. Says whether a worker got one. */
bool pool_trade_tokens(struct pool *pool);
/* The descriptor that is readable when there is a free token; -1: none is needed. */
int pool_token_descriptor(const struct pool *pool);
/* Milliseconds until an unused token is to be given back; -1: none is unused. */
int pool_token_tick(const struct pool *pool);
/* Gives back the tokens of all workers that run nothing or, when the pool has ended, of all
 * workers. */
void pool_give_tokens(struct pool *pool);

#endif
