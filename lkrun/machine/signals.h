/* SIGINT, SIGTERM, SIGPIPE, SIGTSTP and SIGBUS. Only the executable installs handlers; in another
 * host nothing here ever changes: signal_pending() is 0, signal_descriptor() is -1, raising does
 * nothing. */
#ifndef LKRUN_SIGNALS_H
#define LKRUN_SIGNALS_H

#include <pthread.h>
#include <stdbool.h>
#include <lua.h>

/* What is raised; also what an uncaught one ends with. A string. */
#define INTERRUPTED "interrupted"

/* 0, or the SIGINT or SIGTERM that arrived and has not been raised yet. */
int signal_pending(void);
/* Readable while one is pending: for a poll, so that none is slept through between looking at
 * signal_pending() and waiting. -1 in another host; poll ignores that. */
int signal_descriptor(void);
/* Raises INTERRUPTED if one is pending, which it is no more then. A program that catches it may
 * clean up; the next signal ends the process at once. */
void signal_raise_if_pending(lua_State *L); /* in another host, its call hook has a turn */
/* Whether an error with this message is such an interruption (coroutine.wrap puts positions before
 * it). Text that says the same without a signal is none. */
bool signal_is_interruption(const char *message);
/* For what catches errors that it has no say in, like a task run in place: an interruption is
 * pending again, for signal_raise_if_pending as soon as the catcher has put its things in order.
 * The stock interpreter's own (lua.c raises "interrupted!" from a hook) counts, too. */
void signal_rethrow(const char *message);
/* In a new worker or template: SIGINT does nothing (the terminal sends it to all; the parent
 * decides), SIGTERM and SIGPIPE are as usual, nothing is pending. Programs it starts have the usual
 * dispositions. */
void signals_enter_worker(void);

/* In a worker that is a thread, with its state's main thread: the program's signals are not its
 * own. signal_end_thread makes what it runs raise INTERRUPTED, again and again, until
 * signals_leave_thread, and something be pending until the thread ends; in another host it does
 * nothing. */
void signals_enter_thread(lua_State *L);
void signals_leave_thread(lua_State *L);
void signal_end_thread(pthread_t thread);

/* The last loss of a mapped file (mapping.h) has been raised already: the hook will not
 * raise it. */
void signal_forget_loss(void);

/* For the executable. */
void signals_install(lua_State *L); /* once, from the main thread, with the main Lua thread */
int signal_received(void);          /* 0, or the last that arrived, raised or not; in a worker that
                                     * is a thread, whether it is to end */
void signals_rearm(void);           /* the prompt is ready again: a SIGINT that came is forgotten */

#endif
