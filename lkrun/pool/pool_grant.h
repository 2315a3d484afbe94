/* Room in the region for the results of workers. */
#ifndef LKRUN_POOL_GRANT_H
#define LKRUN_POOL_GRANT_H

#include "pool/pool_state.h"

/* Grants the room that the worker asked for, if it did, defers it until other results are
 * delivered, or refuses it. */
void pool_grant_room(struct pool *pool, struct worker *worker);

#endif
