/* Running one task, in a worker or in place. */
#ifndef LKRUN_TASK_H
#define LKRUN_TASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <lua.h>

#include "base/util.h"
#include "value/codec.h"

struct task {
    uint64_t index;    /* in its map, from 1; of a future, its number */
    uint64_t ordinal;  /* the number of its map, from 1; 0: it is the task of a future */
    const char *bytes; /* the encoded task */
    size_t length;
    const struct codec_port *port;
    struct buffer *out; /* the encoded result goes here */
    unsigned losses;    /* what mapping_losses() gave before the task began */
    bool out_of_memory; /* set where the task failed for lack of memory; `out` is empty then */
};

/* To be called inside the protected call whose message handler task_push_handler pushes, with func
 * and model at these stack indices: leaves above them what func(model, task) returns, or raises. */
enum { TASK_FUNC = 2, TASK_MODEL };
void task_call(lua_State *L, const struct task *task);
/* Encodes what task_call left into task->out, or raises. */
void task_encode(lua_State *L, struct task *task);
/* Raises if a mapped file lost data since the task began. */
void task_check(lua_State *L, const struct task *task);
/* Pushes the message handler of the protected call around a task. */
void task_push_handler(lua_State *L);
/* After a protected call that ended with this status: pops the error on top of the stack and
 * encodes it into task->out. */
void task_fail(lua_State *L, int status, struct task *task);

#endif
