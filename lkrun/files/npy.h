/* NumPy's .npy format: one array. */
#ifndef LKRUN_NPY_H
#define LKRUN_NPY_H

#include <stdbool.h>
#include <stdint.h>
#include <lua.h>

#include "base/sink.h"
#include "files/source.h"
#include "tensor/tensor.h"

/* Pushes the tensor that the rest of the source encodes; false with a problem of the source. `copy`
 * as in stored_push. May raise for lack of memory. */
bool npy_read(lua_State *L, struct source *source, bool copy);

/* How many bytes npy_write writes for a tensor, with `extra` 0. */
int64_t npy_bytes(const struct tensor *tensor);
/* Writes the tensor as a .npy file, the header with `extra` (up to 63) more spaces, which align the
 * data where the file is part of an archive. False where the sink failed. */
bool npy_write(struct sink *sink, const struct tensor *tensor, size_t extra);

#endif
