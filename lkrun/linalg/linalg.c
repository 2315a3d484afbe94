/* Products of tensors for Lua: the methods mv, mm, dot, axpy, and lk.linalg's gemv, gemm, syrk. */
#include <lauxlib.h>

#include "base/util.h"
#include "machine/backend.h"
#include "state/embedded.h"
#include "tensor/product.h"
#include "tensor/tensor_argument.h"
#include "tensor/tensor_copy.h"
#include "tensor/tensor_scalar.h"

/* Sets out = alpha a b + beta out, where b and `out` are vectors or matrices. `out` may share
 * memory with a and b. */
static void multiply(lua_State *L, union scalar alpha, const struct tensor *a,
                     const struct tensor *b, union scalar beta, const struct tensor *out,
                     const char *where)
{
    const struct tensor *target = out;
    if (shares_memory(out, a) || shares_memory(out, b))
        target = tensor_clone(L, out);
    if (b->dim == 1)
        product_mv(L, alpha, a, b, beta, target, where);
    else
        product_mm(L, alpha, a, b, beta, target, where);
    if (target != out)
        tensor_assign(L, out, target, where);
}

/* a:mv(b, out) and a:mm(b, out); without `out`, a new tensor. */
static int product(lua_State *L, int b_dim, const char *where)
{
    const struct tensor *a = tensor_argument(L, 1, where);
    const struct tensor *b = tensor_argument(L, 2, where);
    check_factors(L, a, b, b_dim, where);
    int64_t size[] = {a->size[0], b_dim == 2 ? b->size[1] : 1};
    lua_settop(L, 3);
    const struct tensor *out = out_argument(L, 3, a->dtype, b_dim, size, where);
    union scalar one = scalar_of(a->dtype, 1), zero = scalar_of(a->dtype, 0);
    multiply(L, one, a, b, zero, out, where);
    lua_settop(L, 3);
    return 1;
}

static int mv(lua_State *L)
{
    return product(L, 1, "tensor:mv");
}

static int mm(lua_State *L)
{
    return product(L, 2, "tensor:mm");
}

static union scalar factor_argument(lua_State *L, int index, enum dtype dtype, const char *where)
{
    return lua_isnoneornil(L, index) ? scalar_of(dtype, 1)
                                     : scalar_argument(L, index, where, dtype);
}

/* out:addmv(a, b, alpha, beta) and out:addmm(a, b, alpha, beta): out = alpha a b + beta out, where
 * alpha and beta are 1 by default. */
static int add_product(lua_State *L, int b_dim, const char *where)
{
    const struct tensor *a = tensor_argument(L, 2, where);
    const struct tensor *b = tensor_argument(L, 3, where);
    check_factors(L, a, b, b_dim, where);
    int64_t size[] = {a->size[0], b_dim == 2 ? b->size[1] : 1};
    const struct tensor *out = check_out(L, 1, a->dtype, b_dim, size, where);
    union scalar alpha = factor_argument(L, 4, a->dtype, where);
    union scalar beta = factor_argument(L, 5, a->dtype, where);
    multiply(L, alpha, a, b, beta, out, where);
    lua_settop(L, 1);
    return 1;
}

static int addmv(lua_State *L)
{
    return add_product(L, 1, "tensor:addmv");
}

static int addmm(lua_State *L)
{
    return add_product(L, 2, "tensor:addmm");
}

static int dot(lua_State *L)
{
    const char *where = "tensor:dot";
    const struct tensor *x = tensor_argument(L, 1, where), *y = tensor_argument(L, 2, where);
    if (x->dim != 1 || y->dim != 1)
        raise_error(L, where, "a tensor of %s and one of %s; expected two vectors",
                    shape_text(x->dim, x->size), shape_text(y->dim, y->size));
    check_same_shape(L, x, y, where);
    check_same_dtype(L, x, y, where);
    if (x->dtype == DTYPE_BOOL)
        raise_error(L, where, "the tensors are bool, which has no arithmetic; use to('u8')");
    union scalar sum = product_dot(L, x, y);
    if (dtype_is_float(x->dtype))
        lua_pushnumber(L, sum.f64);
    else
        lua_pushinteger(L, sum.i64);
    return 1;
}

static int axpy(lua_State *L)
{
    const char *where = "tensor:axpy";
    const struct tensor *y = tensor_argument(L, 1, where), *x = tensor_argument(L, 3, where);
    check_target(L, y, where);
    check_same_shape(L, y, x, where);
    check_same_dtype(L, y, x, where);
    if (x->dtype == DTYPE_BOOL)
        raise_error(L, where, "the tensors are bool, which has no arithmetic; use to('u8')");
    product_axpy(L, scalar_argument(L, 2, where, y->dtype), x, y);
    lua_settop(L, 1);
    return 1;
}

/* gemv(alpha, a, b, beta, out) and gemm(alpha, a, b, beta, out): out = alpha a b + beta out;
 * without beta and out, a new tensor alpha a b. */
static int general_product(lua_State *L, int b_dim, const char *where)
{
    const struct tensor *a = tensor_argument(L, 2, where);
    const struct tensor *b = tensor_argument(L, 3, where);
    check_factors(L, a, b, b_dim, where);
    union scalar alpha = scalar_argument(L, 1, where, a->dtype);
    int64_t size[] = {a->size[0], b_dim == 2 ? b->size[1] : 1};
    lua_settop(L, 5);
    union scalar beta = scalar_of(a->dtype, 0);
    if (lua_isnil(L, 5)) {
        if (!lua_isnil(L, 4))
            raise_error(L, where,
                        "there is a beta but no tensor for it to multiply; expected argument 5");
        tensor_new(L, a->dtype, b_dim, size, false);
        lua_replace(L, 5);
    } else {
        beta = scalar_argument(L, 4, where, a->dtype);
    }
    multiply(L, alpha, a, b, beta, check_out(L, 5, a->dtype, b_dim, size, where), where);
    lua_settop(L, 5);
    return 1;
}

static int gemv(lua_State *L)
{
    return general_product(L, 1, "lk.linalg.gemv");
}

static int gemm(lua_State *L)
{
    return general_product(L, 2, "lk.linalg.gemm");
}

#define MIRROR(name, type)                                                                         \
    static void mirror_##name(type *data, int64_t n, int64_t ld)                                   \
    {                                                                                              \
        for (int64_t i = 1; i < n; i++)                                                            \
            for (int64_t j = 0; j < i; j++)                                                        \
                data[j * ld + i] = data[i * ld + j];                                               \
    }
FOR_FLOATS(MIRROR)

/* Writes a^T a to a matrix that BLAS can write in place: first the lower triangle, as seen in
 * row-major order, then its mirror image. The result is symmetric, so its own order does not
 * matter. */
static void square(lua_State *L, const struct tensor *a, const struct blas_matrix *into,
                   const char *where)
{
    const struct backend *blas = backend_load(L);
    struct blas_matrix from = to_blas_matrix(L, a, where);
    enum cblas_transpose is = from.row_major ? CBLAS_TRANS : CBLAS_NO_TRANS;
    backend_enter();
    if (a->dtype == DTYPE_F64) {
        blas->dsyrk(CBLAS_ROW_MAJOR, CBLAS_LOWER, is, from.columns, from.rows, 1, from.data,
                    from.ld, 0, into->data, into->ld);
        mirror_f64(into->data, into->rows, into->ld);
    } else {
        blas->ssyrk(CBLAS_ROW_MAJOR, CBLAS_LOWER, is, from.columns, from.rows, 1, from.data,
                    from.ld, 0, into->data, into->ld);
        mirror_f32(into->data, into->rows, into->ld);
    }
    backend_leave();
}

static int syrk(lua_State *L)
{
    const char *where = "lk.linalg.syrk";
    const struct tensor *a = tensor_argument(L, 1, where);
    if (a->dim != 2)
        raise_error(L, where, "a tensor of %s; expected a matrix", shape_text(a->dim, a->size));
    int64_t size[] = {a->size[1], a->size[1]};
    lua_settop(L, 2);
    const struct tensor *out = out_argument(L, 2, a->dtype, 2, size, where);
    struct blas_matrix into;
    if (dtype_is_float(a->dtype) && a->count && blas_matrix(out, &into) && !shares_memory(out, a)) {
        square(L, a, &into, where);
    } else {
        /* `left` is a^T, as a view of a. */
        int64_t stride[] = {a->stride[1], a->stride[0]};
        int64_t turned[] = {a->size[1], a->size[0]};
        const struct tensor *left =
            tensor_view(L, a->storage, a->dtype, a->offset, 2, turned, stride);
        check_factors(L, left, a, 2, where);
        multiply(L, scalar_of(a->dtype, 1), left, a, scalar_of(a->dtype, 0), out, where);
    }
    lua_settop(L, 2);
    return 1;
}

const luaL_Reg tensor_linalg_methods[] = {
    {"mv", mv},   {"mm", mm},     {"addmv", addmv}, {"addmm", addmm},
    {"dot", dot}, {"axpy", axpy}, {NULL, NULL},
};
const luaL_Reg linalg_functions[] = {{"gemv", gemv}, {"gemm", gemm}, {"syrk", syrk}, {NULL, NULL}};

int luaopen_lkrun_core_linalg(lua_State *L);
int luaopen_lkrun_core_linalg(lua_State *L)
{
    lua_newtable(L);
    for (const luaL_Reg *const *functions = embedded_linalg_functions; *functions; functions++)
        luaL_setfuncs(L, *functions, 0);
    return 1;
}
