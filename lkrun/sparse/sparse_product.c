/* Sparse matrices times dense vectors and matrices. */
#include <string.h>
#include <lauxlib.h>

#include "base/util.h"
#include "tensor/tensor_argument.h"
#include "tensor/tensor_copy.h"
#include "tensor/tensor_scalar.h"
#include "sparse/sparse.h"
#include "sparse/sparse_sparse.h"

static void check_product(lua_State *L, const struct sparse *sparse, const struct tensor *dense,
                          int dim, const char *where)
{
    if (dense->dim != dim || dense->size[0] != sparse->columns)
        raise_error(L, where,
                    "a sparse matrix of [%lld, %lld] times a tensor of %s; expected "
                    "[m, n] times [n%s",
                    (long long)sparse->rows, (long long)sparse->columns,
                    shape_text(dense->dim, dense->size), dim == 1 ? "]" : ", k]");
    check_same_dtype(L, sparse->values, dense, where);
}

/* The tensor for a result of this shape, filled with zeros: the one at stack index 3, or a new one
 * that is put there. */
static const struct tensor *zeroed_out(lua_State *L, enum dtype dtype, int dim, const int64_t *size,
                                       const struct tensor *dense, const char *where)
{
    lua_settop(L, 3);
    if (lua_isnil(L, 3)) {
        tensor_new(L, dtype, dim, size, true);
        lua_replace(L, 3);
        return tensor_argument(L, 3, where);
    }
    const struct tensor *out = check_out(L, 3, dtype, dim, size, where);
    if (shares_memory(out, dense))
        raise_error(L, where,
                    "the tensor for the result shares its memory with the factor; expected "
                    "another one");
    tensor_fill(out, scalar_of(dtype, 0));
    return out;
}

#define MV(name, type)                                                                             \
    static void mv_##name(lua_State *L, const struct sparse *sparse, const struct tensor *x,       \
                          const struct tensor *y)                                                  \
    {                                                                                              \
        const int64_t *pointers = tensor_data(sparse->pointers);                                   \
        const int32_t *column = tensor_data(sparse->column_of);                                    \
        const type *value = tensor_data(sparse->values), *from = tensor_data(x);                   \
        type *to = tensor_data(y);                                                                 \
        for (int64_t row = 0; row < sparse->rows; row++) {                                         \
            double sum = 0;                                                                        \
            for (int64_t i = pointers[row]; i < pointers[row + 1]; i++) {                          \
                int64_t c = sparse_column(L, sparse, column[i], "sparse:mv");                      \
                sum += (double)value[i] * (double)from[c * x->stride[0]];                          \
            }                                                                                      \
            to[row * y->stride[0]] = (type)sum;                                                    \
        }                                                                                          \
    }
FOR_FLOATS(MV)

static int mv(lua_State *L)
{
    const char *where = "sparse:mv";
    const struct sparse *sparse = sparse_argument(L, 1, where);
    const struct tensor *x = tensor_argument(L, 2, where);
    check_product(L, sparse, x, 1, where);
    const struct tensor *y = zeroed_out(L, x->dtype, 1, &sparse->rows, x, where);
    if (x->dtype == DTYPE_F64)
        mv_f64(L, sparse, x, y);
    else
        mv_f32(L, sparse, x, y);
    return 1;
}

/* Computes the result row by row: y[row] += value * x[column], whole rows at a time. */
#define MM(name, type)                                                                             \
    static void mm_##name(lua_State *L, const struct sparse *sparse, const struct tensor *x,       \
                          const struct tensor *y)                                                  \
    {                                                                                              \
        const int64_t *pointers = tensor_data(sparse->pointers);                                   \
        const int32_t *column = tensor_data(sparse->column_of);                                    \
        const type *value = tensor_data(sparse->values);                                           \
        for (int64_t row = 0; row < sparse->rows; row++) {                                         \
            type *to = (type *)tensor_data(y) + row * y->stride[0];                                \
            for (int64_t i = pointers[row]; i < pointers[row + 1]; i++) {                          \
                int64_t c = sparse_column(L, sparse, column[i], "sparse:mm");                      \
                const type *from = (const type *)tensor_data(x) + c * x->stride[0];                \
                add_##name(x->size[1], value[i], from, x->stride[1], to, y->stride[1]);            \
            }                                                                                      \
        }                                                                                          \
    }

#define ADD(name, type)                                                                            \
    static void add_##name(int64_t length, type factor, const type *from, int64_t from_stride,     \
                           type *to, int64_t to_stride)                                            \
    {                                                                                              \
        if (from_stride == 1 && to_stride == 1)                                                    \
            for (int64_t k = 0; k < length; k++)                                                   \
                to[k] += factor * from[k];                                                         \
        else                                                                                       \
            for (int64_t k = 0; k < length; k++)                                                   \
                to[k * to_stride] += factor * from[k * from_stride];                               \
    }
FOR_FLOATS(ADD)
FOR_FLOATS(MM)

static int mm(lua_State *L)
{
    const char *where = "sparse:mm";
    const struct sparse *sparse = sparse_argument(L, 1, where);
    if (sparse_test(L, 2))
        return sparse_mm_sparse(L);
    const struct tensor *x = tensor_argument(L, 2, where);
    check_product(L, sparse, x, 2, where);
    int64_t size[] = {sparse->rows, x->size[1]};
    const struct tensor *y = zeroed_out(L, x->dtype, 2, size, x, where);
    if (x->dtype == DTYPE_F64)
        mm_f64(L, sparse, x, y);
    else
        mm_f32(L, sparse, x, y);
    return 1;
}

static int todense(lua_State *L)
{
    const char *where = "sparse:todense";
    const struct sparse *sparse = sparse_argument(L, 1, where);
    int64_t size[] = {sparse->rows, sparse->columns};
    const struct tensor *dense = tensor_new(L, sparse->values->dtype, 2, size, true);
    const int64_t *pointers = tensor_data(sparse->pointers);
    const int32_t *column = tensor_data(sparse->column_of);
    size_t element = dtype_sizes[dense->dtype];
    for (int64_t row = 0; row < sparse->rows; row++)
        for (int64_t i = pointers[row]; i < pointers[row + 1]; i++) {
            int64_t c = sparse_column(L, sparse, column[i], where);
            memcpy(element_at(dense, row * sparse->columns + c), element_at(sparse->values, i),
                   element);
        }
    return 1;
}

const luaL_Reg sparse_product_methods[] = {
    {"mv", mv}, {"mm", mm}, {"todense", todense}, {NULL, NULL}};
