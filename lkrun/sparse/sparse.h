/* Compressed sparse rows (CSR): a userdata whose three parts are tensors in its user values. */
#ifndef LKRUN_SPARSE_H
#define LKRUN_SPARSE_H

#include <stdbool.h>
#include <stdint.h>
#include <lua.h>

#include "tensor/tensor.h"

#define SPARSE_CLASS "lkrun.sparse"

/* User values, so that the parts travel and are shared like any other tensor. */
enum sparse_part {
    SPARSE_POINTERS = 1, /* i64 [rows + 1], from 0 */
    SPARSE_COLUMNS = 2,  /* i32 [entries], from 1, ascending in a row: users see views of it */
    SPARSE_VALUES = 3,   /* f64 or f32 [entries] */
};

struct sparse {
    int64_t rows, columns;
    const struct tensor *pointers, *column_of, *values; /* the user values */
};

struct sparse *sparse_test(lua_State *L, int index);
/* Pushes a matrix over the three tensors at these stack indices; raises when they do not describe
 * one (wrong lengths or dtypes, a column out of range, pointers that do not ascend). The tensors
 * are kept as they are when contiguous, else copied. */
void sparse_push(lua_State *L, int64_t rows, int64_t columns, int pointers, int cols, int values);

/* What the files of the sparse class share. */
struct sparse *sparse_argument(lua_State *L, int index, const char *where);
void sparse_bad_column(lua_State *L, const struct sparse *sparse, int32_t c, const char *where);
/* The address that column `c` (from 1) stands for; the columns are a program's to overwrite. */
static inline int64_t sparse_column(lua_State *L, const struct sparse *sparse, int32_t c,
                                    const char *where)
{
    if (c < 1 || c > sparse->columns)
        sparse_bad_column(L, sparse, c, where);
    return (int64_t)c - 1;
}
/* Raises unless a's columns are b's rows and the dtype is one. */
void sparse_check_factors(lua_State *L, const struct sparse *a, const struct sparse *b,
                          const char *where);
int sparse_csr(lua_State *L);
int sparse_transpose(lua_State *L);
int sparse_mv(lua_State *L);
int sparse_mm(lua_State *L);
int sparse_mm_sparse(lua_State *L); /* where the second factor is sparse as well */
int sparse_top_products(lua_State *L);
int sparse_index(lua_State *L);
int sparse_prune(lua_State *L);
int sparse_stack(lua_State *L);
int sparse_topk(lua_State *L);
int sparse_gather(lua_State *L);
int sparse_todense(lua_State *L);

#endif
