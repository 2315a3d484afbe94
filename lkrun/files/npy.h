/* NumPy's .npy format: one array. */
#ifndef LKRUN_NPY_H
#define LKRUN_NPY_H

#include <stdbool.h>
#include <stdint.h>
#include <lua.h>

#include "base/sink.h"
#include "files/source.h"
#include "tensor/tensor.h"

/* Pushes the tensor that the rest of the source is; false with its problem set. `copy` as in
 * stored_push. May raise for lack of memory. */
bool npy_read(lua_State *L, struct source *source, bool copy);

/* How many bytes npy_write writes for a tensor, with `extra` 0. */
int64_t npy_bytes(const struct tensor *tensor);
/* `extra`: up to 63 bytes that move the data to where they are wanted. */
bool npy_write(struct sink *sink, const struct tensor *tensor, size_t extra);

#endif
