/* What the files of the tensor class share: arguments of its methods, values of its elements, and
 * each file's methods and functions. */
#ifndef LKRUN_TENSOR_CLASS_H
#define LKRUN_TENSOR_CLASS_H

#include <lua.h>
#include <lauxlib.h>

#include "tensor/tensor.h"

/* X(name, C type) for every dtype that has arithmetic; bool has none and is kept as uint8_t. */
#define FOR_FLOATS(X)   X(f64, double) X(f32, float)
#define FOR_INTEGERS(X) X(i64, int64_t) X(i32, int32_t) X(u8, uint8_t)
#define FOR_NUMBERS(X)  FOR_FLOATS(X) FOR_INTEGERS(X)

static inline bool dtype_is_float(enum dtype dtype)
{
    return dtype == DTYPE_F64 || dtype == DTYPE_F32;
}

/* One element of any dtype. */
union scalar {
    double f64;
    float f32;
    int64_t i64;
    int32_t i32;
    uint8_t u8; /* bool too: 0 or 1 */
};

size_t storage_live_bytes(void); /* of all storages of this process */

/* Arguments of the public function `where`, or an error that names it. */
struct tensor *tensor_argument(lua_State *L, int index, const char *where);
int64_t integer_argument(lua_State *L, int index, const char *where, const char *what);
double number_argument(lua_State *L, int index, const char *where, const char *what);
enum dtype dtype_argument(lua_State *L, int index, const char *where, enum dtype absent);
/* Sizes from a table or one integer; with `rest`, also from all the arguments from here on. The
 * number of dimensions. */
int shape_argument(lua_State *L, int index, const char *where, bool rest,
                   int64_t size[TENSOR_MAX_DIM]);
/* Pushes the fields of the table of options at `index`, which may be nil, in the order of their
 * names, which end with a NULL; raises for a field of another name. */
void options_argument(lua_State *L, int index, const char *const *names, const char *where);
/* A dimension from 1 to tensor->dim, given from 0. */
int dim_argument(lua_State *L, int index, const char *where, const struct tensor *tensor);
/* An index from 1 to `size` of dimension `dim` (from 0), given from 0. */
int64_t position_argument(lua_State *L, int index, const char *where, int dim, int64_t size);
/* Indices of rows, from 1 and checked, as int64_t: a table or a tensor of i64 or i32 at `index`.
 * Where they are not so already, they lie in a userdata or a tensor that is pushed. */
struct picks {
    const int64_t *row;
    int64_t count;
};
struct picks picks_argument(lua_State *L, int index, int64_t rows, const char *where);
/* A value that the dtype has, exactly for integers and bool. */
bool scalar_fits(lua_State *L, int index, enum dtype dtype, union scalar *scalar);
union scalar scalar_argument(lua_State *L, int index, const char *where, enum dtype dtype);

/* "[3, 4]", in static storage of this thread, for error messages; two can be in use at a time. */
const char *shape_text(int dim, const int64_t *size);
bool same_shape(const struct tensor *a, const struct tensor *b);
void check_same_shape(lua_State *L, const struct tensor *a, const struct tensor *b,
                      const char *where);
void check_same_dtype(lua_State *L, const struct tensor *a, const struct tensor *b,
                      const char *where);

union scalar scalar_of(enum dtype dtype, int value); /* a value that every dtype has: 0 or 1 */
double scalar_to_double(enum dtype dtype, const void *element);
void scalar_push(lua_State *L, enum dtype dtype, const void *element);
static inline void *element_at(const struct tensor *tensor, int64_t position)
{
    return (char *)tensor_data(tensor) + position * (int64_t)dtype_sizes[tensor->dtype];
}

/* For a function that writes all of a tensor: writable, and no element stands for several. */
void check_target(lua_State *L, const struct tensor *tensor, const char *where);
/* The tensor that the caller passed for a result of this dtype and shape. */
struct tensor *check_out(lua_State *L, int index, enum dtype dtype, int dim, const int64_t *size,
                         const char *where);
/* Whether any byte belongs to both. */
bool shares_memory(const struct tensor *a, const struct tensor *b);
/* Whether writing `target` element by element could change `source` before it is read. */
bool overlaps(const struct tensor *target, const struct tensor *source);
/* The source, or where it overlaps the target a copy of it pushed on the stack. */
const struct tensor *without_overlap(lua_State *L, const struct tensor *target,
                                     const struct tensor *source);
/* Pushes a row-major copy. */
struct tensor *tensor_clone(lua_State *L, const struct tensor *tensor);
/* Pushes a new tensor of this shape that shares nothing, contents unspecified. */
struct tensor *tensor_like(lua_State *L, const struct tensor *tensor, enum dtype dtype);
/* Converts and copies; same shapes; raises for a value the target's dtype has not. */
void tensor_assign(lua_State *L, const struct tensor *target, const struct tensor *source,
                   const char *where);

bool tensor_has_zero(const struct tensor *tensor);
void tensor_fill(const struct tensor *tensor, union scalar scalar);
/* Pushes a tensor of the nested table, or the number, at `index`; raises naming the place. */
struct tensor *tensor_from_table(lua_State *L, int index, enum dtype dtype, const char *where);

/* The methods and the functions of lk.tensor that each file adds. */
extern const luaL_Reg tensor_element_methods[];
extern const luaL_Reg tensor_view_methods[];
extern const luaL_Reg tensor_copy_methods[];
extern const luaL_Reg tensor_arith_methods[];
extern const luaL_Reg tensor_math_methods[];
extern const luaL_Reg tensor_reduce_methods[];
extern const luaL_Reg tensor_sort_methods[];
extern const luaL_Reg tensor_index_methods[];
extern const luaL_Reg tensor_compare_methods[];
extern const luaL_Reg tensor_print_methods[];
extern const luaL_Reg linalg_methods[];
extern const luaL_Reg tensor_create_functions[];
extern const luaL_Reg tensor_compare_functions[];

#endif
