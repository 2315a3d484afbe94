/* Lists of row indices. */
#ifndef LKRUN_TENSOR_INDEX_H
#define LKRUN_TENSOR_INDEX_H

#include <stdint.h>
#include <lua.h>

#include "tensor/tensor.h"

/* Indices of rows, from 1. */
struct picks {
    const int64_t *row;
    int64_t count;
};

/* The indices in the table, or the tensor of i64 or i32, at `index`, each checked to be from 1 to
 * `rows`. If they do not already lie in memory as int64_t, the copy that holds them, a userdata or
 * a tensor, is pushed. */
struct picks picks_argument(lua_State *L, int index, int64_t rows, const char *where);

#endif
