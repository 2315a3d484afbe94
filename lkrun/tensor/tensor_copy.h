/* Copies, conversions between dtypes, and filling. */
#ifndef LKRUN_TENSOR_COPY_H
#define LKRUN_TENSOR_COPY_H

#include <stdbool.h>
#include <lua.h>

#include "tensor/tensor.h"
#include "tensor/tensor_scalar.h"

/* Whether the two may have bytes in common: whether they have the same storage, and the ranges from
 * the first to the last of their bytes overlap. */
bool shares_memory(const struct tensor *a, const struct tensor *b);
/* The source, or a copy of it that is pushed on the stack if writing `target` element by element
 * could change the source before it is read. */
const struct tensor *without_overlap(lua_State *L, const struct tensor *target,
                                     const struct tensor *source);
/* Writes the elements in row-major order to `bytes` (count × element size). */
void tensor_copy_to(const struct tensor *tensor, void *bytes);
/* Pushes a row-major copy. */
struct tensor *tensor_clone(lua_State *L, const struct tensor *tensor);
/* Pushes a new tensor of the same shape in memory of its own; its contents are unspecified. */
struct tensor *tensor_like(lua_State *L, const struct tensor *tensor, enum dtype dtype);
/* Converts and copies between tensors of one shape; raises for a value that the target's dtype
 * cannot hold. */
void tensor_assign(lua_State *L, const struct tensor *target, const struct tensor *source,
                   const char *where);
void tensor_fill(const struct tensor *tensor, union scalar scalar);

#endif
