/* Arguments of the public function `where`, checked: what does not fit raises an error that names
 * the function. */
#ifndef LKRUN_TENSOR_ARGUMENT_H
#define LKRUN_TENSOR_ARGUMENT_H

#include <stdbool.h>
#include <stdint.h>
#include <lua.h>

#include "tensor/tensor.h"

struct tensor *tensor_argument(lua_State *L, int index, const char *where);
/* `what` names the argument in messages: "the step". */
int64_t integer_argument(lua_State *L, int index, const char *where, const char *what);
double number_argument(lua_State *L, int index, const char *where, const char *what);
/* `absent` is returned where the argument is nil or missing. */
enum dtype dtype_argument(lua_State *L, int index, const char *where, enum dtype absent);
/* Sizes from a table or from one integer; with `rest`, also from several integers: this argument
 * and all that follow. Returns the number of dimensions. */
int shape_argument(lua_State *L, int index, const char *where, bool rest,
                   int64_t size[TENSOR_MAX_DIM]);
/* Pushes the fields of the table of options at `index`, which may be nil, in the order of `names`,
 * a list that a NULL ends; raises for a field of another name. */
void options_argument(lua_State *L, int index, const char *const *names, const char *where);
/* Checks that a dimension is from 1 to tensor->dim, and returns it counted from 0. */
int dim_argument(lua_State *L, int index, const char *where, const struct tensor *tensor);
/* Checks that an index is from 1 to `size`, the size of dimension `dim` (from 0), and returns it
 * counted from 0. */
int64_t position_argument(lua_State *L, int index, const char *where, int dim, int64_t size);

bool same_shape(const struct tensor *a, const struct tensor *b);
void check_same_shape(lua_State *L, const struct tensor *a, const struct tensor *b,
                      const char *where);
void check_same_dtype(lua_State *L, const struct tensor *a, const struct tensor *b,
                      const char *where);
/* For a function that writes every element: raises unless the tensor is writable and no two of its
 * elements share memory. */
void check_target(lua_State *L, const struct tensor *tensor, const char *where);
/* The tensor that the caller passed for a result; raises unless it has this dtype and shape and can
 * be written (check_target). */
struct tensor *check_out(lua_State *L, int index, enum dtype dtype, int dim, const int64_t *size,
                         const char *where);
/* The same where the caller need not pass one: a new tensor then takes the place of the nil. */
struct tensor *out_argument(lua_State *L, int index, enum dtype dtype, int dim, const int64_t *size,
                            const char *where);

#endif
