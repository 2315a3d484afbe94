/* GNU make's jobserver, as its client: a pipe or a named pipe that holds a token, one byte, for
 * each job that `make -j` may run besides the one that every recipe may run without a token (GNU
 * make's manual, "Sharing Job Slots"). A process forked from a client holds none of its tokens. */
#ifndef LKRUN_JOBSERVER_H
#define LKRUN_JOBSERVER_H

#include <stdbool.h>

/* Whether MAKEFLAGS names a jobserver. If that can't be reached, jobserver_take never gets a token,
 * and one warning has said so. */
bool jobserver_limits(void);
/* Takes a token if one is there; never waits. */
bool jobserver_take(void);
/* Gives one token back, if this process holds any. */
void jobserver_give(void);
/* A descriptor that is readable while a token may be there; -1: there will be none. */
int jobserver_descriptor(void);
/* For when this process ends: gives back all tokens that it holds. Async-signal-safe. */
void jobserver_give_all(void);

#endif
