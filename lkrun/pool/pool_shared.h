/* What the host and its workers have in common: shared memory, rings, bells, pipes. */
#ifndef LKRUN_POOL_SHARED_H
#define LKRUN_POOL_SHARED_H

#include <stdbool.h>
#include "pool/pool_state.h"

bool pool_make_shared(struct pool *pool); /* false: see pool->reason; pool_unmake what there is */
void pool_unmake(struct pool *pool);      /* every piece may be missing */
/* Makes a worker's place as it is before a worker is there. Its flights have left it. */
void pool_empty_place(struct pool *pool, struct worker *worker);

#endif
