/* Tensors from nested Lua tables. */
#ifndef LKRUN_TENSOR_ELEMENT_H
#define LKRUN_TENSOR_ELEMENT_H

#include <lua.h>

#include "tensor/tensor.h"

/* Pushes a tensor of the nested table, or the number, at `index`; raises naming the place in the
 * table that does not fit. */
struct tensor *tensor_from_table(lua_State *L, int index, enum dtype dtype, const char *where);

#endif
