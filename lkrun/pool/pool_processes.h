/* The end of workers that are processes, forked or spawned. */
#ifndef LKRUN_POOL_PROCESSES_H
#define LKRUN_POOL_PROCESSES_H

#include "pool/pool_state.h"

/* Tells all workers to leave, waits 100 ms for them, kills those that are left and the template. */
void processes_stop(struct pool *pool);

#endif
