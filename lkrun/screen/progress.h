/* Progress displays: a total, three states, and how they are shown. */
#ifndef LKRUN_PROGRESS_H
#define LKRUN_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <lua.h>

#define PROGRESS_CLASS "lkrun.progress"

/* Tasks in each state now; a task is in one of them, so done + running + waiting = begun so far. */
struct progress_state {
    uint64_t dispatched;
    uint64_t in_progress;
    uint64_t finished;
};

struct progress {
    uint64_t id;   /* unique in this process */
    char *logger;  /* may be NULL */
    char *label;   /* may be NULL */
    char *unit;    /* may be NULL: "tasks" */
    int64_t total; /* -1: not known */
    int worker;    /* from 1: made in that worker and mirrored here; 0: made here */
    struct progress_state state;
    bool finished;
    uint64_t started;      /* clock_nanoseconds */
    uint64_t shown;        /* when it was last drawn or written */
    struct progress *next; /* the list of live displays */
};

/* Raises when LK_PROGRESS is no way to show progress. C code that doesn't ask gets auto and a
 * warning. */
void progress_check_environment(lua_State *L);
/* Before this state's first display: its print and files write around a bar from now on. */
void progress_install(lua_State *L);
/* What LK_PROGRESS_DIR's records say of the workflow's job: JSON text of an object with rule,
 * wildcards and outputs, each optional; NULL: nothing. False: not such a text. */
bool progress_set_job(const char *json);

/* Made from C (the pool's default bar) or by lk.invoke_progress. NULL: out of memory. */
struct progress *progress_open(const char *logger, const char *label, int64_t total,
                               const char *unit);
/* A PROGRESS_CLASS userdata of this process, or raises: a task can't move its parent's display. */
struct progress *progress_check(lua_State *L, int index);
/* Says where it stands; draws when a drawing is due. Cheap when none is. */
void progress_set(struct progress *progress, const struct progress_state *state);
/* The same before a while in which nothing can be shown: programs that watch are told at once. */
void progress_set_ahead(struct progress *progress, const struct progress_state *state);
/* Draws whatever is due: the pool calls it while it waits. Gives milliseconds until the next
 * drawing could be due, or -1 when no display is live. */
int progress_tick(void);
void progress_finish(struct progress *progress); /* the last drawing; idempotent */
void progress_free(struct progress *progress);   /* finishes it if need be; made from C only */
/* Takes the bar off the screen until the next tick (before anything else writes there), and when
 * the program ends or stops. Async-signal-safe. */
void progress_clear(void);

/* In a new worker: the displays and the screen are the parent's; none of them is drawn here. */
void progress_enter_worker(void);
/* In a worker every display is a message to the parent: `sink` gets a copy of it when it was made,
 * at most ten times a second while it changes, and when it ends. NULL: draw here. */
void progress_set_sink(void (*sink)(void *context, const struct progress *progress), void *context);
/* In the parent: makes, updates or ends the display that mirrors a worker's. `progress` is what the
 * sink got (id, worker, strings, total, state, finished). progress_drop_worker ends all of one. */
void progress_mirror(const struct progress *progress);
void progress_drop_worker(int worker);

#endif
