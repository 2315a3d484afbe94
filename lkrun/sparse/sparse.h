/* Compressed sparse rows (CSR): a userdata whose three parts are tensors in its user values. */
#ifndef LKRUN_SPARSE_H
#define LKRUN_SPARSE_H

#include <stdbool.h>
#include <stdint.h>
#include <lua.h>

#include "tensor/tensor.h"

#define SPARSE_CLASS "lkrun.sparse"

/* The parts are user values of the userdata, so that they are sent to workers and shared like any
 * other tensor. */
enum sparse_part {
    SPARSE_POINTERS = 1, /* i64 [rows + 1], from 0 */
    SPARSE_COLUMNS = 2,  /* i32 [entries], from 1, as users see them; ascending in each row */
    SPARSE_VALUES = 3,   /* f64 or f32 [entries] */
};

struct sparse {
    int64_t rows, columns;
    const struct tensor *pointers, *column_of, *values; /* the user values */
};

/* The matrix at this stack index; NULL for any other value. */
struct sparse *sparse_test(lua_State *L, int index);
/* The matrix that is this argument of the public function `where`; raises for any other value. */
struct sparse *sparse_argument(lua_State *L, int index, const char *where);
/* Pushes a matrix over the three tensors at these stack indices; raises when they do not describe
 * one (wrong lengths or dtypes, a column out of range, pointers that do not ascend). The tensors
 * are kept as they are when contiguous, else copied. */
void sparse_push(lua_State *L, int64_t rows, int64_t columns, int pointers, int cols, int values);

/* Raises: a program wrote the column `c` into the matrix. */
void sparse_bad_column(lua_State *L, const struct sparse *sparse, int32_t c, const char *where);
/* Column `c` counted from 0. It is checked every time because programs can write to the columns. */
static inline int64_t sparse_column(lua_State *L, const struct sparse *sparse, int32_t c,
                                    const char *where)
{
    if (c < 1 || c > sparse->columns)
        sparse_bad_column(L, sparse, c, where);
    return (int64_t)c - 1;
}

#endif
