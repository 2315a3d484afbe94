/* What the host and its workers have in common: shared memory, rings, bells, pipes. */
#ifndef LKRUN_POOL_SHARED_H
#define LKRUN_POOL_SHARED_H

#include <stdbool.h>
#include "pool/pool_state.h"

/* False: see pool->reason; pool_unmake frees what was made until then. */
bool pool_make_shared(struct pool *pool);
void pool_unmake(struct pool *pool); /* any piece may be missing */
/* Resets the place of a worker, before one is made in it. Its flights have been taken away. */
void pool_empty_place(struct pool *pool, struct worker *worker);

#endif
