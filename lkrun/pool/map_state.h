/* One map over a pool, and the results that it has, as the host keeps them while a loop runs. */
#ifndef LKRUN_MAP_STATE_H
#define LKRUN_MAP_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <lua.h>

struct pool;
struct segment;
struct worker;

/* A finished task, where its bytes lie. */
struct outcome {
    uint64_t index;
    int worker;    /* from 1; 0: the host itself */
    uint16_t kind; /* RESULT_VALUES or RESULT_ERROR */
    const char *bytes;
    size_t length;
    char *owned;              /* what to free afterwards, or NULL */
    struct worker *ring_of;   /* whose ring they lie in, or NULL */
    struct segment *segments; /* its large tensors, until they are fetched; owned */
};

/* A result of an ordered map that waits for its turn. */
struct waiting_result {
    struct segment *segments; /* its large tensors */
    size_t length;
    char bytes[];
};

/* A task of an ordered map that is not delivered yet. */
enum slot_state { SLOT_QUEUED, SLOT_AT_WORKER, SLOT_STORED };
struct task_slot {
    uint8_t state;                 /* enum slot_state */
    uint8_t kind;                  /* SLOT_STORED: RESULT_VALUES or RESULT_ERROR */
    uint16_t worker;               /* SLOT_AT_WORKER: its place, from 0; SLOT_STORED: from 1 */
    struct waiting_result *result; /* SLOT_STORED: owned; NULL: there was no memory for it */
};

struct map {
    struct pool *pool; /* NULL once the map has ended */
    uint64_t pulled;   /* tasks taken from the generator */
    uint64_t delivered;
    bool exhausted;          /* the generator has ended, or failed */
    bool failed;             /* it failed: its error is raised once all results are delivered */
    uint64_t deadline;       /* clock_nanoseconds at which it ends, whatever runs; 0: none */
    bool pulling;            /* the generator is running: it may have yielded */
    bool slow_generator;     /* the coarse clock went on while it was last called */
    bool takes_nothing;      /* the generator is a function without parameters */
    uint32_t wanted;         /* tasks to pull in this batch */
    int64_t length;          /* of a sequence; -1: a generator function */
    bool numbered;           /* the generator's first value is the task's index; else 1, 2, … */
    uint64_t shift;          /* the next task has the index pulled + 1 + shift */
    struct task_slot *slots; /* ordered: task i is slots[i & (capacity - 1)] */
    /* Unordered: a circular buffer of `capacity`; ready_count results from ready_first on. */
    struct outcome *ready;
    uint64_t ready_first, ready_count;
    uint64_t capacity;           /* a power of two above the tasks pulled and not delivered, or 0 */
    char where[LUA_IDSIZE + 12]; /* "script.lua:12", the line that made it, or empty */
};

/* User values of a map's userdata, and upvalues of its step function. The control value, which
 * often is the task, is not an upvalue: Lua's generational collector treats a value that is put
 * into an old closure as old, and so would keep every task for long. */
enum { MAP_POOL = 1, MAP_CLOSING, MAP_ERROR, MAP_CONTROL, MAP_VALUES = MAP_CONTROL };
enum { STEP_MAP = 1, STEP_FUNCTION, STEP_STATE, STEP_VALUES = STEP_STATE };

#endif
