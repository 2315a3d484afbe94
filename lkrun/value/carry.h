/* Functions and what they reach, as bytes for another Lua state of the same program: what a worker
 * that is no fork gets of func and model.
 *
 * A Lua function travels as its code and its upvalues, a table with its metatable, a tensor as its
 * shape over storage that the port names. What a module has under a name (string.format, a function
 * of lk.tensor, a class of the user's module) travels as that name, and is the receiver's own. The
 * bytes hold code: they never come from, or go to, a file. */
#ifndef LKRUN_CARRY_H
#define LKRUN_CARRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <lua.h>

#include "memory/storage.h"
#include "base/util.h"

/* How storage travels beside the bytes. */
struct carry_port {
    void *context;
    /* Sender: a handle for this storage; false with *error set: it can't be carried. */
    bool (*give)(void *context, struct storage *storage, uint64_t *handle, const char **error);
    /* Receiver: the storage under it, one reference for the caller; NULL with *error set. */
    struct storage *(*take)(void *context, uint64_t handle, size_t bytes, const char **error);
};

/* Appends the `count` values on top of the stack, called names[0] …, to `out`. Raises for what
 * can't be carried, with its path: "lkrun: WHERE: func.upvalue helper: a coroutine cannot be
 * carried". `out` stays the caller's to free. */
void carry_encode(lua_State *L, const char *where, const char *const *names, int count,
                  const struct carry_port *port, struct buffer *out);

/* Pushes these values, and gives their number. From then on a carried function that asks for a
 * global of the sender's program, which is not here, gets an error that says so. Raises where a
 * module can't be loaded or has not what was named. */
int carry_decode(lua_State *L, const char *bytes, size_t length, const struct carry_port *port);

/* What stands before an object's definition. */
enum carry_kind {
    CARRY_TABLE = 1, /* u32 array slots, u32 hash slots */
    CARRY_FUNCTION,  /* u64 length; the code */
    CARRY_TENSOR,    /* struct carried_tensor; i64 sizes, i64 strides */
    CARRY_SPARSE,    /* i64 rows, i64 columns; three tensors */
    CARRY_LOGGER,    /* its name, a string */
    CARRY_NAMED,     /* u8 steps; the module and then the steps, strings; nil: the metatable */
    CARRY_GLOBALS,   /* the receiver's */
};

struct carried_tensor {
    uint8_t dtype, dim;
    int64_t offset;
    uint64_t handle, bytes; /* of the storage */
};

/* Begins a value that is an object: u32 number of the object, from 1. Any other tag is codec_put's.
 */
#define CARRY_OBJECT 0xFF

/* The bytes: this; the definitions of the objects, in order; their contents, in order: a table's
 * pairs, nil, its metatable or nil; a function's upvalues, each as u8 1 and its value, or u8 2, u32
 * function, u8 upvalue where it shares that one. Then the values that were asked for; then strings:
 * the sources of the functions, and the sender's globals. */
struct carry_head {
    uint32_t objects, values, sources, globals;
};
enum { CARRY_UPVALUE = 1, CARRY_SHARED_UPVALUE };

#endif
