/* Functions, and all values they reach, as bytes for another Lua state of the same program: how
 * func and model get to a worker that is not a fork. This is what the sender (carry_encode.h) and
 * the receiver (carry_decode.h) agree on.
 *
 * A Lua function travels as its code and its upvalues, a table with its metatable, a tensor as its
 * shape over storage that the port names. What a module offers under a name (string.format, a
 * function of lk.tensor, a class of the user's module) travels as that name and becomes the
 * receiver's own. The bytes hold code: they are never read from a file and never written to one. */
#ifndef LKRUN_CARRY_H
#define LKRUN_CARRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct storage;

/* How storage travels beside the bytes. */
struct carry_port {
    void *context;
    /* Sender: a handle for this storage; false with *error set where it can't be carried. */
    bool (*give)(void *context, struct storage *storage, uint64_t *handle, const char **error);
    /* Receiver: the storage of that handle, with one reference for the caller; NULL with *error
     * set. */
    struct storage *(*take)(void *context, uint64_t handle, size_t bytes, const char **error);
};

/* The byte in front of the definition of an object. The comments say what follows it. */
enum carry_kind {
    CARRY_TABLE = 1, /* u32 array slots, u32 hash slots */
    CARRY_FUNCTION,  /* u64 length; the code */
    CARRY_TENSOR,    /* struct carried_tensor; i64 sizes, i64 strides */
    CARRY_SPARSE,    /* i64 rows, i64 columns; three tensors */
    CARRY_LOGGER,    /* the logger's name, a string */
    CARRY_NAMED,     /* u8 steps; the module's name; the steps: strings, nil for the metatable */
    CARRY_GLOBALS,   /* nothing: the table of globals, which is the receiver's own */
};

struct carried_tensor {
    uint8_t dtype, dim;
    int64_t offset;
    uint64_t handle, bytes; /* of the storage: what carry_port.give gave, and its size */
};

/* The tag of a value that is an object; the number of the object, u32 from 1, follows. Any other
 * tag is one that codec_get reads. */
#define CARRY_OBJECT 0xFF

/* The bytes are, in this order:
 *
 *   - this head;
 *   - the definitions of the objects, by number;
 *   - the contents of the objects, by number: of a table its pairs, nil, and its metatable or nil;
 *     of a function its upvalues, each as CARRY_UPVALUE and its value, or, where it shares the
 *     upvalue of another function, as CARRY_SHARED_UPVALUE, u32 that function, u8 that upvalue;
 *   - the values that were asked for;
 *   - strings: the sources of the functions, and the names of the sender's globals. */
struct carry_head {
    uint32_t objects, values, sources, globals;
};
enum { CARRY_UPVALUE = 1, CARRY_SHARED_UPVALUE };

#endif
