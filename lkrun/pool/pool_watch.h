/* What the host does between handing out tasks and delivering results. */
#ifndef LKRUN_POOL_WATCH_H
#define LKRUN_POOL_WATCH_H

#include "pool/pool_state.h"

/* Takes in news, feeds the backlog, balances. Needed every few milliseconds and before waiting. */
void pool_look_around(struct pool *pool);
/* Notes what has been published so far; pool_wait returns at once if there has been more since. So:
 * note, look for what you wait for, wait. */
void pool_note(struct pool *pool);
/* Sleeps until something happens, at most `timeout` milliseconds (-1: for ever). */
void pool_wait(struct pool *pool, int timeout);

#endif
