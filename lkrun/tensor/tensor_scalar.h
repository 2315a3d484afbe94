/* Values of single elements: between C and Lua, and of every dtype. */
#ifndef LKRUN_TENSOR_SCALAR_H
#define LKRUN_TENSOR_SCALAR_H

#include <stdbool.h>
#include <stdint.h>
#include <lua.h>

#include "tensor/tensor.h"

/* One element of any dtype. */
union scalar {
    double f64;
    float f32;
    int64_t i64;
    int32_t i32;
    uint8_t u8; /* for bool too: 0 or 1 */
};

/* Takes the Lua value at `index` if the dtype can hold it: integers and booleans exactly, floats
 * rounded. */
bool scalar_fits(lua_State *L, int index, enum dtype dtype, union scalar *scalar);
/* The same of an argument of the public function `where`; raises if the dtype cannot hold it. */
union scalar scalar_argument(lua_State *L, int index, const char *where, enum dtype dtype);
union scalar scalar_of(enum dtype dtype, int value); /* 0 or 1, which every dtype can hold */
double scalar_to_double(enum dtype dtype, const void *element);
void scalar_push(lua_State *L, enum dtype dtype, const void *element);

#endif
