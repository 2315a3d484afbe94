/* What the host does when a worker has died, or could not be made. */
#ifndef LKRUN_POOL_FAULT_H
#define LKRUN_POOL_FAULT_H

#include "pool/pool_state.h"

void pool_check_deaths(struct pool *pool); /* reaps and handles every worker that has ended */
/* Tries once more to make workers in the places that were lost: the reason may have passed. */
void pool_refill(struct pool *pool);
/* Takes over the pids of workers that the template has forked meanwhile. */
void pool_learn_pids(struct pool *pool);
/* The template's socket is readable: a worker was forked, or the template has ended. */
void pool_template_news(struct pool *pool);

#endif
