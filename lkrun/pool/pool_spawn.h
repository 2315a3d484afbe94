/* Workers that are new lkrun processes, for hosts that cannot fork. */
#ifndef LKRUN_POOL_SPAWN_H
#define LKRUN_POOL_SPAWN_H

#include "pool/pool_state.h"

extern const struct worker_kind spawned_workers;

#endif
