/* Progress displays: a total, how many tasks are in which state, and when that is shown. */
#ifndef LKRUN_PROGRESS_H
#define LKRUN_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <lua.h>

/* How many tasks are in each state now. A task is in exactly one of them, so their sum is the
 * number of tasks so far. */
struct progress_state {
    uint64_t dispatched;
    uint64_t in_progress;
    uint64_t finished;
};

struct progress {
    uint64_t id;   /* unique in this process */
    char *logger;  /* NULL: none */
    char *label;   /* NULL: none */
    char *unit;    /* NULL: "tasks" */
    int64_t total; /* -1: not known */
    int worker; /* the worker that made the display which this one mirrors, from 1; 0: made here */
    struct progress_state state;
    bool finished;
    uint64_t started;      /* clock_nanoseconds */
    uint64_t shown;        /* when it was last drawn or written */
    struct progress *next; /* the list of live displays */
};

/* Before this state's first display: makes its io.stdout and io.stderr write above the bars. */
void progress_install(lua_State *L);

/* Opens a display, for C (the pool's default bar) or for lk.invoke_progress. `logger`, `label` and
 * `unit` may be NULL, and are copied. NULL: out of memory. */
struct progress *progress_open(const char *logger, const char *label, int64_t total,
                               const char *unit);
/* Whether the display was made by a process that this one was forked from. */
bool progress_is_foreign(const struct progress *progress);
/* Sets the state, and shows what is due. Cheap while nothing is due. */
void progress_set(struct progress *progress, const struct progress_state *state);
/* As progress_set, for a caller that can't show anything for a while afterwards: the bars and the
 * records in LK_PROGRESS_DIR show the new state at once, even if they are not due. */
void progress_set_ahead(struct progress *progress, const struct progress_state *state);
/* Shows whatever is due; the pool calls it while it waits. Gives milliseconds until something could
 * be due again, or -1 when no display is live. */
int progress_tick(void);
/* Shows the display's last state. A second call does nothing. */
void progress_finish(struct progress *progress);
/* Finishes the display if need be, and frees it. */
void progress_free(struct progress *progress);
/* Takes the bars off the screen until they are drawn again: before anything else is written there,
 * and when the program ends or is stopped. Async-signal-safe. */
void progress_clear(void);

/* In a new worker: the displays and the screen are the parent's; none of them is drawn here. */
void progress_enter_worker(void);
/* In a worker, whose parent shows its displays: `handle` is called with each display of this thread
 * when it was made, at most ten times a second while it changes, and when it has ended. NULL:
 * displays are shown by this process. */
void progress_set_handler(void (*handle)(void *context, const struct progress *progress),
                          void *context);
/* In the parent: makes, updates or ends the display that mirrors a worker's. `theirs` has what the
 * worker's handler was given: id, worker, strings, total, state, finished. */
void progress_mirror(const struct progress *theirs);
/* Ends all displays that mirror one of this worker's. */
void progress_drop_worker(int worker);

#endif
