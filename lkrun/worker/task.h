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
    uint64_t index;   /* from 1 */
    uint64_t ordinal; /* of its map, from 1; 0: submitted by itself */
    const char *bytes;
    size_t length;
    const struct codec_port *port;
    struct buffer *out; /* the encoded result goes here */
    unsigned losses;    /* what mapping_losses() gave before the task began */
    bool out_of_memory; /* set where the task failed for lack of memory; `out` is empty then */
};

/* In a function that task_push_handler's protects, with func and model at these indices: leaves
 * what func(model, task) returns, or raises. */
enum { TASK_FUNC = 2, TASK_MODEL };
void task_call(lua_State *L, const struct task *task);
/* Encodes what task_call left, or raises. */
void task_encode(lua_State *L, struct task *task);
/* Raises if a mapped file lost data meanwhile. */
void task_check(lua_State *L, const struct task *task);
/* Pushes the message handler of the protected call around a task. */
void task_push_handler(lua_State *L);
/* The protected call ended with this status and an error on top: takes it off and encodes it. */
void task_fail(lua_State *L, int status, struct task *task);

#endif
