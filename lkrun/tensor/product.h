/* Products of tensors for every dtype and stride: OpenBLAS for f64 and f32, loops for integers. */
#ifndef LKRUN_PRODUCT_H
#define LKRUN_PRODUCT_H

#include <stdbool.h>
#include <lua.h>

#include "tensor/tensor.h"
#include "tensor/tensor_scalar.h"

/* A matrix as BLAS reads it: ld elements lie between the starts of two rows if it is row-major,
 * else between those of two columns. */
struct blas_matrix {
    void *data;
    int rows, columns, ld;
    bool row_major;
};

/* False if BLAS cannot read the tensor in place: because of its strides, or a size that is 0 or too
 * large. */
bool blas_matrix(const struct tensor *tensor, struct blas_matrix *matrix);
/* The same for a tensor whose sizes are 1 or more; raises for a size above INT_MAX. A contiguous
 * copy is pushed if BLAS needs one. */
struct blas_matrix to_blas_matrix(lua_State *L, const struct tensor *tensor, const char *where);

/* Raises unless the matrix a can be multiplied with the vector (b_dim 1) or matrix (b_dim 2) b. */
void check_factors(lua_State *L, const struct tensor *a, const struct tensor *b, int b_dim,
                   const char *where);

/* Compute y = alpha a x + beta y and c = alpha a b + beta c. Shapes and dtypes must agree, and the
 * target must not share memory with the factors; with a beta of 0 it is not read. They may push on
 * the stack. */
void product_mv(lua_State *L, union scalar alpha, const struct tensor *a, const struct tensor *x,
                union scalar beta, const struct tensor *y, const char *where);
void product_mm(lua_State *L, union scalar alpha, const struct tensor *a, const struct tensor *b,
                union scalar beta, const struct tensor *c, const char *where);

/* The inner product of two vectors of one dtype and size: .i64, modulo 2^64, for integers, and .f64
 * for floats. */
union scalar product_dot(lua_State *L, const struct tensor *x, const struct tensor *y);
/* Computes y += alpha x for tensors of one shape, modulo the range of the dtype for integers. x may
 * share memory with y. */
void product_axpy(lua_State *L, union scalar alpha, const struct tensor *x, const struct tensor *y);

#endif
