/* Which workers may run where make's jobserver counts.
 *
 * What always holds: the first worker of a pool runs on the token that every recipe is given; any
 * other gets tasks only while it holds one of the jobserver's. A token is given back when its
 * worker has been without a task for UNUSED_TIME, when a map ends, and when the pool does. A token
 * is taken only where there is work for it, and the host waits for one only in its poll. */
#include "pool/pool_tokens.h"

#include "base/util.h"
#include "machine/jobserver.h"
#include "pool/pool_state.h"

/* How long a token may be without use. It is longer than a tick of the coarse clock, and much
 * longer than the few microseconds that giving and taking a token cost. */
#define UNUSED_TIME 8000000u /* nanoseconds */

/* The first usable worker counts as the first one of the pool. */
bool pool_holds_token(const struct pool *pool, const struct worker *worker)
{
    if (worker->has_token)
        return true;
    for (const struct worker *first = pool->workers; first < worker; first++)
        if (worker_is_usable(first))
            return false;
    return true;
}

static bool lacks_token(const struct pool *pool, const struct worker *worker)
{
    return worker_is_usable(worker) && !pool_holds_token(pool, worker);
}

static bool has_nothing_to_do(const struct worker *worker)
{
    return !worker_is_usable(worker) ||
           (worker_unbegun(worker, claim_of(worker)) == 0 && !worker_is_busy(worker));
}

/* Whether one more worker would have something to do. */
static bool has_work(const struct pool *pool)
{
    if (pool->backlog.count || pool_may_pull(pool))
        return true;
    for (int i = 0; i < pool->work.options.jobs; i++) {
        const struct worker *worker = &pool->workers[i];
        if (worker_is_usable(worker) && worker_unbegun(worker, claim_of(worker)) > 0)
            return true;
    }
    return false;
}

static void give(struct worker *worker)
{
    if (worker->has_token)
        jobserver_give();
    worker->has_token = false;
    worker->unused_since = 0;
}

bool pool_trade_tokens(struct pool *pool)
{
    uint64_t now = clock_coarse();
    bool work = has_work(pool), took = false;
    for (int i = 0; i < pool->work.options.jobs; i++) {
        struct worker *worker = &pool->workers[i];
        if (worker->has_token) {
            if (!has_nothing_to_do(worker))
                worker->unused_since = 0;
            else if (!worker->unused_since)
                worker->unused_since = now;
            else if (now - worker->unused_since > UNUSED_TIME)
                give(worker);
        } else if (work && lacks_token(pool, worker)) {
            work = worker->has_token = jobserver_take();
            took = took || worker->has_token;
        }
    }
    return took;
}

int pool_token_descriptor(const struct pool *pool)
{
    if (!pool->limited || !has_work(pool))
        return -1;
    for (int i = 0; i < pool->work.options.jobs; i++)
        if (lacks_token(pool, &pool->workers[i]))
            return jobserver_descriptor();
    return -1;
}

int pool_token_tick(const struct pool *pool)
{
    for (int i = 0; pool->limited && i < pool->work.options.jobs; i++)
        if (pool->workers[i].has_token && has_nothing_to_do(&pool->workers[i]))
            return (int)(UNUSED_TIME / 1000000u);
    return -1;
}

void pool_give_tokens(struct pool *pool)
{
    for (int i = 0; pool->limited && pool->workers && i < pool->work.options.jobs; i++)
        if (!pool->started || has_nothing_to_do(&pool->workers[i]))
            give(&pool->workers[i]);
}
