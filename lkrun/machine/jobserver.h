/* GNU make's jobserver, as its client: a pipe or a named pipe that holds one byte, a token, for
 * each job that `make -j` may run besides the one that every recipe is (GNU make's manual, "Sharing
 * Job Slots"). A process forked from a client holds none of its tokens. */
#ifndef LKRUN_JOBSERVER_H
#define LKRUN_JOBSERVER_H

#include <stdbool.h>

/* Whether MAKEFLAGS names a jobserver. One that can't be reached never has a token, and a warning
 * has said so, once. */
bool jobserver_limits(void);
/* Takes a token if one is there; never waits. */
bool jobserver_take(void);
/* Gives one token back, if this process holds any. */
void jobserver_give(void);
/* A descriptor that is readable while a token may be there; -1: there will be none. */
int jobserver_descriptor(void);
/* Gives back all tokens that this process holds, when it ends. Async-signal-safe. */
void jobserver_give_all(void);

#endif
