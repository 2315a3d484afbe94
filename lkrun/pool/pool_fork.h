/* Workers that are forks of the host: the usual kind. */
#ifndef LKRUN_POOL_FORK_H
#define LKRUN_POOL_FORK_H

#include "pool/pool_state.h"

extern const struct worker_kind forked_workers;
/* Of all pools of this process: ends workers that are in tasks of maps that have ended, for a user
 * who does not want to wait for them; others take their places. */
void pool_end_dropped(void);

#endif
