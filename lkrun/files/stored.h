/* Tensors as files store them, and how they become ours. */
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

/* A tensor in a file: its elements from first to last, the last index running fastest. */
struct stored {
    enum dtype dtype;      /* of the tensor that it becomes */
    enum stored_form form; /* of the elements in the file */
    bool swapped;          /* they are in the byte order that this machine does not have */
    int dim;
    int64_t size[TENSOR_MAX_DIM];
};

size_t stored_element_size(const struct stored *stored); /* bytes of an element in the file */
const char *stored_name(const struct stored *stored);    /* "f32", "f16" … */
/* How many bytes it takes in the file. False, with a problem of the source, where no tensor can
 * have the shape. */
bool stored_bytes(const struct stored *stored, struct source *source, int64_t *bytes);
/* Pushes the tensor whose elements are the next bytes of the source. It is a view of the mapped
 * file where there is one, the tensor is large enough for that, and the elements lie there as
 * tensors need them. `copy`: it gets memory of its own, which may be written. False with a problem
 * of the source, and nothing pushed. May raise for lack of memory. */
bool stored_push(lua_State *L, struct source *source, const struct stored *stored, bool copy);

#endif
