/* Dense tensors: a shape and strides over reference-counted storage. */
#ifndef LKRUN_TENSOR_H
#define LKRUN_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <lua.h>

#include "memory/storage.h"

enum dtype { DTYPE_F64, DTYPE_F32, DTYPE_I64, DTYPE_I32, DTYPE_U8, DTYPE_BOOL, DTYPE_COUNT };

extern const char *const dtype_names[DTYPE_COUNT + 1]; /* "f64" …; NULL ends the list */
extern const size_t dtype_sizes[DTYPE_COUNT];          /* bytes of an element */

/* X(name, C type) for every dtype that has arithmetic; bool has none and is kept as uint8_t. */
#define FOR_FLOATS(X)   X(f64, double) X(f32, float)
#define FOR_INTEGERS(X) X(i64, int64_t) X(i32, int32_t) X(u8, uint8_t)
#define FOR_NUMBERS(X)  FOR_FLOATS(X) FOR_INTEGERS(X)

static inline bool dtype_is_float(enum dtype dtype)
{
    return dtype == DTYPE_F64 || dtype == DTYPE_F32;
}

#define TENSOR_MAX_DIM 16
#define TENSOR_CLASS   "lkrun.tensor"

/* A view of a storage. The userdata of class TENSOR_CLASS holds exactly this, with room for both
 * arrays. */
struct tensor {
    struct storage *storage;
    enum dtype dtype;
    int dim;         /* 0: a scalar */
    int64_t offset;  /* of the first element, in elements from storage->data */
    int64_t count;   /* elements: the product of the sizes */
    int64_t *size;   /* [dim] */
    int64_t *stride; /* [dim], in elements; may be 0 or negative */
    int64_t room[];  /* size and stride point here */
};

static inline void *tensor_data(const struct tensor *tensor)
{
    return (char *)tensor->storage->data + tensor->offset * (int64_t)dtype_sizes[tensor->dtype];
}

/* The element at this offset from the tensor's first one. */
static inline void *element_at(const struct tensor *tensor, int64_t offset)
{
    return (char *)tensor_data(tensor) + offset * (int64_t)dtype_sizes[tensor->dtype];
}

/* The tensor at this stack index. For any other value tensor_check raises a type error and
 * tensor_test returns NULL. */
struct tensor *tensor_check(lua_State *L, int index);
struct tensor *tensor_test(lua_State *L, int index);

/* Pushes a new contiguous (row-major) tensor and returns it; raises when the shape overflows or
 * there is no room. `size` [dim]. */
struct tensor *tensor_new(lua_State *L, enum dtype dtype, int dim, const int64_t *size,
                          bool zeroed);
/* Pushes a view of an existing storage, which it retains. `stride` NULL: contiguous. */
struct tensor *tensor_view(lua_State *L, struct storage *storage, enum dtype dtype, int64_t offset,
                           int dim, const int64_t *size, const int64_t *stride);
/* Tells the collector of Lua that a new tensor takes up this many bytes of storage, so that garbage
 * is collected in proportion. */
void tensor_press_collector(lua_State *L, size_t bytes);

bool tensor_is_contiguous(const struct tensor *tensor);
/* Raises unless the current task or program may write to the tensor. `where` names the public
 * function in the message. */
void tensor_check_writable(lua_State *L, const struct tensor *tensor, const char *where);
/* The shape as text for messages, such as "[3, 4]". It lies in static storage of this thread, and
 * only the texts of the last two calls are valid. */
const char *shape_text(int dim, const int64_t *size);

#endif
