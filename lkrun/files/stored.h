/* Tensors as files store them: what their elements are there, and how they become ours. */
#ifndef LKRUN_STORED_H
#define LKRUN_STORED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <lua.h>

#include "files/source.h"
#include "tensor/tensor.h"

enum stored_form {
    STORED_AS_IS,
    STORED_F16, /* IEEE 754 half precision, read into f32 */
    STORED_BF16 /* the upper half of an f32, read into f32 */
};

/* A tensor in a file, its elements from first to last with the last index running fastest. */
struct stored {
    enum dtype dtype; /* what it becomes */
    enum stored_form form;
    bool swapped; /* the other byte order than this machine's */
    int dim;
    int64_t size[TENSOR_MAX_DIM];
};

size_t stored_element_size(const struct stored *stored);
const char *stored_name(const struct stored *stored); /* "f32", "f16" … */
/* How many bytes it takes; false with a problem where no tensor can have the shape. */
bool stored_bytes(const struct stored *stored, struct source *source, int64_t *bytes);
/* Pushes the tensor whose elements are the next bytes of the source: a view of the mapping where
 * there is one, it is large enough, and they lie there as they are needed. False with a problem,
 * and nothing pushed. `copy`: memory of its own, which may be written. May raise for lack of
 * memory. */
bool stored_push(lua_State *L, struct source *source, const struct stored *stored, bool copy);

#endif
