/* Products of tensors for every dtype and stride: OpenBLAS for f64 and f32, loops for integers. */
#ifndef LKRUN_PRODUCT_H
#define LKRUN_PRODUCT_H

#include <stdbool.h>
#include <lua.h>

#include "tensor/tensor_class.h"

/* A matrix as BLAS reads it. Row-major: row i starts at data + i * ld; else column i does. */
struct blas_matrix {
    void *data;
    int rows, columns, ld;
    bool row_major;
};

/* False where BLAS cannot read it in place; one of the sizes may be 0 then or too large. */
bool blas_matrix(const struct tensor *tensor, struct blas_matrix *matrix);
/* The same, of a contiguous copy pushed on the stack where it must be. Sizes at least 1. */
struct blas_matrix to_blas_matrix(lua_State *L, const struct tensor *tensor, const char *where);

/* Raises unless there is a product of this matrix and this vector or matrix. */
void check_factors(lua_State *L, const struct tensor *a, const struct tensor *b, int b_dim,
                   const char *where);

/* y = alpha a x + beta y, c = alpha a b + beta c: shapes and dtypes agree, the target shares no
 * memory with the factors. With a beta of 0 the target is not read. May push on the stack. */
void product_mv(lua_State *L, union scalar alpha, const struct tensor *a, const struct tensor *x,
                union scalar beta, const struct tensor *y, const char *where);
void product_mm(lua_State *L, union scalar alpha, const struct tensor *a, const struct tensor *b,
                union scalar beta, const struct tensor *c, const char *where);

/* The result is in i64 for integers, modulo 2^64, else in f64. Vectors of one dtype and size. */
union scalar product_dot(lua_State *L, const struct tensor *x, const struct tensor *y);
/* y += alpha x, same shapes; modulo the dtype for integers. x may share memory with y. */
void product_axpy(lua_State *L, union scalar alpha, const struct tensor *x, const struct tensor *y);

#endif
