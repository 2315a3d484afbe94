/* Workers that are threads of this process. */
#ifndef LKRUN_POOL_THREADS_H
#define LKRUN_POOL_THREADS_H

#include "pool/pool_state.h"

extern const struct worker_kind thread_workers;

#endif
