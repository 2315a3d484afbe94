/* SIGINT, SIGTERM, SIGPIPE, SIGTSTP and SIGBUS. Only the executable installs handlers; in another
 * host, a program that loads lkrun as a module (the stock lua5.4, for example), nothing here ever
 * changes: signal_pending() is 0, signal_descriptor() is -1, raising does nothing. */
#ifndef LKRUN_SIGNALS_H
#define LKRUN_SIGNALS_H

#include <pthread.h>
#include <stdbool.h>
#include <lua.h>

/* The error that is raised, and what the message of an uncaught one ends with. */
#define INTERRUPTED "interrupted"

/* The SIGINT or SIGTERM that has arrived and was not raised yet; 0: none. */
int signal_pending(void);
/* A descriptor that is readable while a signal is pending: for a poll, so that a signal which
 * arrives between a look at signal_pending() and the wait ends the wait. -1, which poll
 * ignores, in another host. */
int signal_descriptor(void);
/* If a signal is pending, raises INTERRUPTED; after that the signal is no longer pending. A program
 * that catches the error may clean up; the next signal ends the process at once. In another host,
 * the host's own call hook may raise. */
void signal_raise_if_pending(lua_State *L);
/* Whether an error with this message is an interruption; coroutine.wrap may have put positions in
 * front of INTERRUPTED. As long as no signal has arrived, the same text is no interruption. */
bool signal_is_interruption(const char *message);
/* For code that catches every error, such as that of a task that runs in place: if the error with
 * this message is an interruption, makes that pending again. The code puts its things in order and
 * then calls signal_raise_if_pending. The stock interpreter's interruption ("interrupted!", which
 * lua.c raises from a hook) counts, too. */
void signal_rethrow(const char *message);
/* In a new worker or template: nothing is pending. Until the caller changes that, SIGINT, which
 * a terminal sends to all processes, does nothing, because the parent decides what it means;
 * SIGTERM and SIGPIPE do what they usually do. Programs that the worker starts get the usual
 * dispositions. */
void signals_enter_worker(void);

/* In a worker that is a thread, with the main Lua thread of its state: from now on, and until
 * signals_leave_thread, the program's signals do not concern it. */
void signals_enter_thread(lua_State *L);
void signals_leave_thread(lua_State *L);
/* Ends what such a thread is doing: until signals_leave_thread, its Lua code raises INTERRUPTED
 * before every instruction, and until the thread ends, signal_pending() is true there. In another
 * host it does nothing. */
void signal_end_thread(pthread_t thread);

/* To be called where the last loss of a mapped file (mapping.h) was raised as an error already: the
 * hook will not raise it again. */
void signal_forget_loss(void);

/* For the executable: installs the handlers. Once, from the main thread, with
 * the main Lua thread. */
void signals_install(lua_State *L);
/* The signal that arrived last, raised or not; 0: none. In a worker that is a thread: whether
 * it is to end. */
int signal_received(void);
/* For the prompt, when it is ready for the next line: forgets a SIGINT that has arrived. */
void signals_rearm(void);

#endif
