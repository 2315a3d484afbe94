/* Workers that are new lkrun processes, for hosts that can't fork. pool_spawn.c is the host's side,
 * worker_spawned.c the worker's. This is what the executable's main needs of them. */
#ifndef LKRUN_WORKER_SPAWNED_H
#define LKRUN_WORKER_SPAWNED_H

#include <stdbool.h>

/* The first argument of a spawned worker's command line; the second is its place. */
#define SPAWN_ARGUMENT "--worker-of-an-invoker"

/* Set by the executable, which then starts itself as a worker. In any other host the executable has
 * to be looked for. */
extern bool spawn_is_lkrun;
int spawn_main(const char *place); /* the main function of a spawned worker */

#endif
