/* Symmetric positive definite systems by LAPACK's Cholesky factorization.
 * LAPACK reads columns where tensors have rows, so the lower triangle of a row-major matrix is the
 * upper one to LAPACK, and the factor that it writes there is our lower factor. */
#include <math.h>
#include <string.h>
#include <lauxlib.h>

#include "base/util.h"
#include "machine/backend.h"
#include "tensor/product.h"
#include "tensor/tensor_argument.h"
#include "tensor/tensor_copy.h"

/* What LAPACK calls the triangle that is the lower one of the tensor: it takes a row-major matrix
 * for its transpose. */
static const char *triangle(const struct blas_matrix *matrix)
{
    return matrix->row_major ? "U" : "L";
}

static const struct tensor *square_argument(lua_State *L, int index, const char *where)
{
    const struct tensor *a = tensor_argument(L, index, where);
    if (a->dim != 2 || a->size[0] != a->size[1])
        raise_error(L, where, "a tensor of %s; expected a square matrix",
                    shape_text(a->dim, a->size));
    if (!dtype_is_float(a->dtype))
        raise_error(L, where, "the matrix is %s; expected f64 or f32", dtype_names[a->dtype]);
    return a;
}

static double diagonal(const struct blas_matrix *matrix, enum dtype dtype, int64_t i)
{
    int64_t at = i * matrix->ld + i;
    return dtype == DTYPE_F64 ? ((const double *)matrix->data)[at]
                              : (double)((const float *)matrix->data)[at];
}

/* The tensor that the solution is written to. With `overwrite` it is b itself, which must then not
 * share memory with the factor; otherwise it is a clone, which replaces b at stack index 2. */
static const struct tensor *solution_argument(lua_State *L, const struct tensor *lower,
                                              const struct tensor *b, bool overwrite,
                                              const char *where)
{
    if (overwrite) {
        check_target(L, b, where);
        if (shares_memory(lower, b))
            raise_error(L, where,
                        "the factor and the right side share memory; expected two tensors apart");
        return b;
    }
    b = tensor_clone(L, b);
    lua_replace(L, 2);
    return b;
}

/* The number, from 1, of the first pivot that is not-a-number; 0: none is. OpenBLAS does not report
 * them. All pivots after the first such one are not-a-number too, so the last one tells. */
static int first_bad_pivot(const struct blas_matrix *matrix, enum dtype dtype)
{
    if (!isnan(diagonal(matrix, dtype, matrix->rows - 1)))
        return 0;
    for (int i = 0; i < matrix->rows; i++)
        if (isnan(diagonal(matrix, dtype, i)))
            return i + 1;
    return 0;
}

static void factor(lua_State *L, const struct blas_matrix *matrix, enum dtype dtype,
                   const char *where)
{
    const struct backend *lapack = backend_load(L);
    int info = 0;
    backend_enter();
    if (dtype == DTYPE_F64)
        lapack->dpotrf(triangle(matrix), &matrix->rows, matrix->data, &matrix->ld, &info, 1);
    else
        lapack->spotrf(triangle(matrix), &matrix->rows, matrix->data, &matrix->ld, &info, 1);
    backend_leave();
    if (info == 0)
        info = first_bad_pivot(matrix, dtype);
    if (info)
        raise_error(L, where,
                    "the matrix is not positive definite: pivot %d of %d is not above 0; "
                    "adding to the diagonal would make it so",
                    info, matrix->rows);
}

static int cholesky(lua_State *L)
{
    const char *where = "lk.linalg.cholesky";
    const struct tensor *a = square_argument(L, 1, where);
    const struct tensor *lower = tensor_clone(L, a);
    if (a->count == 0)
        return 1;
    struct blas_matrix matrix = to_blas_matrix(L, lower, where);
    factor(L, &matrix, a->dtype, where);
    size_t element = dtype_sizes[a->dtype];
    /* LAPACK leaves the upper triangle as it was. */
    for (int64_t i = 0; i < matrix.rows; i++)
        memset((char *)matrix.data + (size_t)(i * matrix.ld + i + 1) * element, 0,
               (size_t)(matrix.rows - i - 1) * element);
    return 1;
}

/* The right sides as LAPACK needs them: one or more columns, each contiguous. */
struct columns {
    void *data;
    int count, ld; /* ld: elements between the starts of two columns */
};

/* False where LAPACK cannot work on the right sides in place. */
static bool lapack_columns(const struct tensor *b, struct columns *columns)
{
    if (b->dim == 1) {
        *columns = (struct columns){tensor_data(b), 1, (int)b->size[0]};
        return b->size[0] == 1 || b->stride[0] == 1;
    }
    struct blas_matrix matrix;
    if (!blas_matrix(b, &matrix))
        return false;
    *columns = (struct columns){matrix.data, matrix.columns, matrix.ld};
    if (!matrix.row_major)
        return true;
    /* A row-major matrix of one row is also column-major, and so is one of one column without
     * gaps. */
    columns->ld = matrix.rows;
    return matrix.rows == 1 || (matrix.columns == 1 && matrix.ld == 1);
}

static void check_sides(lua_State *L, const struct tensor *a, const struct tensor *b,
                        const char *where)
{
    if ((b->dim != 1 && b->dim != 2) || b->size[0] != a->size[0])
        raise_error(L, where, "a matrix of %s with right sides of %s; expected [n] or [n, k]",
                    shape_text(a->dim, a->size), shape_text(b->dim, b->size));
    check_same_dtype(L, a, b, where);
}

static void back_substitute(lua_State *L, const struct blas_matrix *lower, enum dtype dtype,
                            const struct columns *x)
{
    const struct backend *lapack = backend_load(L);
    int info;
    backend_enter();
    if (dtype == DTYPE_F64)
        lapack->dpotrs(triangle(lower), &lower->rows, &x->count, lower->data, &lower->ld, x->data,
                       &x->ld, &info, 1);
    else
        lapack->spotrs(triangle(lower), &lower->rows, &x->count, lower->data, &lower->ld, x->data,
                       &x->ld, &info, 1);
    backend_leave();
}

/* Solves in place of b where LAPACK can, else in a transposed copy that is then written to b. */
static void solve_factored(lua_State *L, const struct blas_matrix *lower, const struct tensor *b,
                           const char *where)
{
    struct columns x;
    if (lapack_columns(b, &x)) {
        back_substitute(L, lower, b->dtype, &x);
        return;
    }
    int64_t turned[] = {b->dim == 2 ? b->size[1] : 1, b->size[0]};
    const struct tensor *rows = tensor_new(L, b->dtype, 2, turned, false);
    int64_t stride[] = {1, b->size[0]};
    const struct tensor *work = tensor_view(L, rows->storage, b->dtype, 0, b->dim, b->size, stride);
    tensor_assign(L, work, b, where);
    lapack_columns(work, &x);
    back_substitute(L, lower, b->dtype, &x);
    tensor_assign(L, b, work, where);
}

/* cholesky_solve(a, b, overwrite): x with a x = b. With `overwrite`, both a and b are
 * overwritten, and x is b. */
static int cholesky_solve(lua_State *L)
{
    const char *where = "lk.linalg.cholesky_solve";
    const struct tensor *a = square_argument(L, 1, where), *b = tensor_argument(L, 2, where);
    check_sides(L, a, b, where);
    bool overwrite = lua_toboolean(L, 3);
    lua_settop(L, 2);
    if (overwrite) {
        check_target(L, a, where);
        check_target(L, b, where);
        if (shares_memory(a, b))
            raise_error(L, where,
                        "the matrix and the right side share memory; expected two tensors apart, "
                        "as both are overwritten");
    } else {
        a = tensor_clone(L, a);
        lua_replace(L, 1);
        b = tensor_clone(L, b);
        lua_replace(L, 2);
    }
    if (b->count) {
        struct blas_matrix matrix = to_blas_matrix(L, a, where);
        factor(L, &matrix, a->dtype, where);
        solve_factored(L, &matrix, b, where);
    }
    lua_settop(L, 2);
    return 1;
}

/* potrs(l, b, overwrite): x with l l^T x = b, where l is a factor from cholesky. With
 * `overwrite`, x is written to b. */
static int potrs(lua_State *L)
{
    const char *where = "lk.linalg.potrs";
    const struct tensor *lower = square_argument(L, 1, where), *b = tensor_argument(L, 2, where);
    check_sides(L, lower, b, where);
    bool overwrite = lua_toboolean(L, 3);
    lua_settop(L, 2);
    b = solution_argument(L, lower, b, overwrite, where);
    if (b->count) {
        struct blas_matrix matrix = to_blas_matrix(L, lower, where);
        solve_factored(L, &matrix, b, where);
    }
    lua_settop(L, 2);
    return 1;
}

/* Writes the solution over b. Where the factor and b are not in the same order, row- or
 * column-major, BLAS sees the factor transposed, which is an upper triangle. */
static void solve_triangle(lua_State *L, const struct blas_matrix *lower, bool transposed,
                           const struct blas_matrix *b, enum dtype dtype)
{
    const struct backend *blas = backend_load(L);
    enum cblas_order order = b->row_major ? CBLAS_ROW_MAJOR : CBLAS_COL_MAJOR;
    bool same_order = lower->row_major == b->row_major;
    enum cblas_uplo triangle_is = same_order ? CBLAS_LOWER : CBLAS_UPPER;
    enum cblas_transpose is = same_order == transposed ? CBLAS_TRANS : CBLAS_NO_TRANS;
    backend_enter();
    if (dtype == DTYPE_F64)
        blas->dtrsm(order, CBLAS_LEFT, triangle_is, is, CBLAS_NON_UNIT, b->rows, b->columns, 1,
                    lower->data, lower->ld, b->data, b->ld);
    else
        blas->strsm(order, CBLAS_LEFT, triangle_is, is, CBLAS_NON_UNIT, b->rows, b->columns, 1,
                    lower->data, lower->ld, b->data, b->ld);
    backend_leave();
}

/* trsm(l, b, transposed, overwrite): x with l x = b, or with l^T x = b if `transposed`. With
 * `overwrite`, x is written to b. */
static int trsm(lua_State *L)
{
    const char *where = "lk.linalg.trsm";
    const struct tensor *lower = square_argument(L, 1, where), *b = tensor_argument(L, 2, where);
    check_sides(L, lower, b, where);
    bool transposed = lua_toboolean(L, 3), overwrite = lua_toboolean(L, 4);
    lua_settop(L, 2);
    b = solution_argument(L, lower, b, overwrite, where);
    if (b->count) {
        struct blas_matrix factor_matrix = to_blas_matrix(L, lower, where);
        int64_t size[] = {b->size[0], b->dim == 2 ? b->size[1] : 1};
        int64_t stride[] = {b->stride[0], b->dim == 2 ? b->stride[1] : 1};
        const struct tensor *sides =
            tensor_view(L, b->storage, b->dtype, b->offset, 2, size, stride);
        struct blas_matrix x = to_blas_matrix(L, sides, where);
        solve_triangle(L, &factor_matrix, transposed, &x, b->dtype);
        /* BLAS solved in a copy, which was pushed last. */
        if (x.data != tensor_data(b))
            tensor_assign(L, sides, tensor_argument(L, -1, where), where);
    }
    lua_settop(L, 2);
    return 1;
}

const luaL_Reg linalg_cholesky_functions[] = {
    {"cholesky", cholesky}, {"cholesky_solve", cholesky_solve}, {"potrs", potrs}, {"trsm", trsm},
    {NULL, NULL},
};
