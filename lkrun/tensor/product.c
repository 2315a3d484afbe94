/* BLAS is given matrices with one stride of 1 and the other at least as long as a row, and
 * vectors with a positive stride; any other view is copied first. It is never given a size of 0,
 * about which OpenBLAS complains on standard error. */
#include "tensor/product.h"

#include <limits.h>

#include "base/util.h"
#include "machine/backend.h"
#include "tensor/tensor_argument.h"
#include "tensor/tensor_copy.h"
#include "tensor/tensor_scalar.h"
#include "tensor/tensor_walk.h"

static bool fits(int64_t size)
{
    return size > 0 && size <= INT_MAX;
}

bool blas_matrix(const struct tensor *tensor, struct blas_matrix *matrix)
{
    int64_t rows = tensor->size[0], columns = tensor->size[1];
    int64_t down = tensor->stride[0], across = tensor->stride[1];
    if (!fits(rows) || !fits(columns))
        return false;
    /* The stride of a dimension of size 1 is never used, so it may have any value. */
    bool row_major = (across == 1 || columns == 1) && (rows == 1 || down >= columns);
    bool column_major = (down == 1 || rows == 1) && (columns == 1 || across >= rows);
    int64_t ld = row_major ? (rows == 1 ? columns : down) : (columns == 1 ? rows : across);
    *matrix =
        (struct blas_matrix){tensor_data(tensor), (int)rows, (int)columns, (int)ld, row_major};
    return (row_major || column_major) && fits(ld);
}

static void check_size(lua_State *L, const struct tensor *tensor, const char *where)
{
    for (int d = 0; d < tensor->dim; d++)
        if (tensor->size[d] > INT_MAX)
            raise_error(L, where, "a tensor of %s; expected sizes up to %d",
                        shape_text(tensor->dim, tensor->size), INT_MAX);
}

struct blas_matrix to_blas_matrix(lua_State *L, const struct tensor *tensor, const char *where)
{
    struct blas_matrix matrix;
    if (blas_matrix(tensor, &matrix))
        return matrix;
    check_size(L, tensor, where);
    blas_matrix(tensor_clone(L, tensor), &matrix);
    return matrix;
}

struct blas_vector {
    void *data;
    int step;
};

static bool blas_vector(const struct tensor *tensor, struct blas_vector *vector)
{
    int64_t stride = tensor->size[0] > 1 ? tensor->stride[0] : 1;
    *vector = (struct blas_vector){tensor_data(tensor), (int)stride};
    return fits(stride);
}

static struct blas_vector to_blas_vector(lua_State *L, const struct tensor *tensor)
{
    struct blas_vector vector;
    if (!blas_vector(tensor, &vector))
        blas_vector(tensor_clone(L, tensor), &vector);
    return vector;
}

void check_factors(lua_State *L, const struct tensor *a, const struct tensor *b, int b_dim,
                   const char *where)
{
    if (a->dim != 2 || b->dim != b_dim || a->size[1] != b->size[0])
        raise_error(L, where, "a tensor of %s times one of %s; expected [m, n] times [n%s",
                    shape_text(a->dim, a->size), shape_text(b->dim, b->size),
                    b_dim == 1 ? "]" : ", k]");
    check_same_dtype(L, a, b, where);
    if (a->dtype == DTYPE_BOOL)
        raise_error(L, where, "the tensors are bool, which has no arithmetic; use to('u8')");
}

static bool is_zero(enum dtype dtype, union scalar scalar)
{
    switch (dtype) {
    case DTYPE_F64:
        return scalar.f64 == 0;
    case DTYPE_F32:
        return scalar.f32 == 0;
    case DTYPE_I64:
        return scalar.i64 == 0;
    case DTYPE_I32:
        return scalar.i32 == 0;
    default:
        return scalar.u8 == 0;
    }
}

/* ---- Integers ---- */

/* Integers are computed as uint64_t, where overflow wraps: the low bits that the dtype keeps are
 * right modulo its range. */
static uint64_t bits_of(enum dtype dtype, union scalar scalar)
{
    switch (dtype) {
    case DTYPE_I64:
        return (uint64_t)scalar.i64;
    case DTYPE_I32:
        return (uint64_t)(int64_t)scalar.i32;
    default:
        return scalar.u8;
    }
}

static inline uint64_t load(enum dtype dtype, const char *at)
{
    switch (dtype) {
    case DTYPE_I64:
        return *(const uint64_t *)at;
    case DTYPE_I32:
        return (uint64_t)(int64_t) * (const int32_t *)at;
    default:
        return *(const uint8_t *)at;
    }
}

static inline void keep(enum dtype dtype, char *at, uint64_t value)
{
    switch (dtype) {
    case DTYPE_I64:
        *(uint64_t *)at = value;
        break;
    case DTYPE_I32:
        *(uint32_t *)at = (uint32_t)value;
        break;
    default:
        *(uint8_t *)at = (uint8_t)value;
    }
}

/* Inlined with a constant dtype, so that the switches above are resolved outside the loops. */
static inline __attribute__((always_inline)) uint64_t dot_row(enum dtype dtype, int64_t length,
                                                              const char *x, int64_t x_step,
                                                              const char *y, int64_t y_step)
{
    uint64_t sum = 0;
    for (int64_t i = 0; i < length; i++)
        sum += load(dtype, x + i * x_step) * load(dtype, y + i * y_step);
    return sum;
}

static uint64_t integer_dot(enum dtype dtype, int64_t length, const char *x, int64_t x_step,
                            const char *y, int64_t y_step)
{
    if (dtype == DTYPE_I64)
        return dot_row(DTYPE_I64, length, x, x_step, y, y_step);
    if (dtype == DTYPE_I32)
        return dot_row(DTYPE_I32, length, x, x_step, y, y_step);
    return dot_row(DTYPE_U8, length, x, x_step, y, y_step);
}

static inline __attribute__((always_inline)) void add_row(enum dtype dtype, int64_t length,
                                                          uint64_t alpha, const char *x,
                                                          int64_t x_step, char *y, int64_t y_step)
{
    for (int64_t i = 0; i < length; i++) {
        char *at = y + i * y_step;
        keep(dtype, at, load(dtype, at) + alpha * load(dtype, x + i * x_step));
    }
}

static void integer_axpy(enum dtype dtype, int64_t length, uint64_t alpha, const char *x,
                         int64_t x_step, char *y, int64_t y_step)
{
    if (dtype == DTYPE_I64)
        add_row(DTYPE_I64, length, alpha, x, x_step, y, y_step);
    else if (dtype == DTYPE_I32)
        add_row(DTYPE_I32, length, alpha, x, x_step, y, y_step);
    else
        add_row(DTYPE_U8, length, alpha, x, x_step, y, y_step);
}

static int64_t step_of(const struct tensor *tensor, int d)
{
    return tensor->stride[d] * (int64_t)dtype_sizes[tensor->dtype];
}

#define SCALE_ROW(type, wide, factor)                                                              \
    for (int64_t i = 0; i < walk.length; i++) {                                                    \
        type *at = (type *)(walk.at[0] + i * walk.step[0]);                                        \
        *at = (type)((wide)(factor) * (wide)*at);                                                  \
    }

/* Computes target = beta target. With a beta of 0 the target is not read, because it may be
 * uninitialized. */
static void scale(union scalar beta, const struct tensor *target)
{
    if (is_zero(target->dtype, beta)) {
        tensor_fill(target, scalar_of(target->dtype, 0));
        return;
    }
    struct walk walk;
    const struct tensor *operands[] = {target};
    for (walk_begin(&walk, 1, operands, WALK_ANY_ORDER); walk.rows; walk_next(&walk)) {
        if (target->dtype == DTYPE_F64) {
            SCALE_ROW(double, double, beta.f64)
        } else if (target->dtype == DTYPE_F32) {
            SCALE_ROW(float, float, beta.f32)
        } else if (target->dtype == DTYPE_I64) {
            SCALE_ROW(uint64_t, uint64_t, beta.i64)
        } else if (target->dtype == DTYPE_I32) {
            SCALE_ROW(uint32_t, uint32_t, beta.i32)
        } else {
            SCALE_ROW(uint8_t, unsigned, beta.u8)
        }
    }
}

static void integer_mv(union scalar alpha, const struct tensor *a, const struct tensor *x,
                       const struct tensor *y)
{
    enum dtype dtype = a->dtype;
    uint64_t factor = bits_of(dtype, alpha);
    for (int64_t i = 0; i < a->size[0]; i++) {
        const char *row = (const char *)tensor_data(a) + i * step_of(a, 0);
        char *at = (char *)tensor_data(y) + i * step_of(y, 0);
        uint64_t sum =
            integer_dot(dtype, a->size[1], row, step_of(a, 1), tensor_data(x), step_of(x, 0));
        keep(dtype, at, load(dtype, at) + factor * sum);
    }
}

static void integer_mm(union scalar alpha, const struct tensor *a, const struct tensor *b,
                       const struct tensor *c)
{
    enum dtype dtype = a->dtype;
    uint64_t factor = bits_of(dtype, alpha);
    for (int64_t i = 0; i < a->size[0]; i++) {
        char *target = (char *)tensor_data(c) + i * step_of(c, 0);
        for (int64_t k = 0; k < a->size[1]; k++) {
            const char *at = (const char *)tensor_data(a) + i * step_of(a, 0) + k * step_of(a, 1);
            const char *row = (const char *)tensor_data(b) + k * step_of(b, 0);
            integer_axpy(dtype, b->size[1], factor * load(dtype, at), row, step_of(b, 1), target,
                         step_of(c, 1));
        }
    }
}

void product_mv(lua_State *L, union scalar alpha, const struct tensor *a, const struct tensor *x,
                union scalar beta, const struct tensor *y, const char *where)
{
    if (!dtype_is_float(a->dtype) || a->count == 0) {
        scale(beta, y);
        if (a->count)
            integer_mv(alpha, a, x, y);
        return;
    }
    const struct backend *blas = backend_load(L);
    struct blas_matrix matrix = to_blas_matrix(L, a, where);
    struct blas_vector from = to_blas_vector(L, x), into = to_blas_vector(L, y);
    bool in_place = into.data == tensor_data(y);
    int rows = matrix.rows, columns = matrix.columns;
    /* Rows and columns are the same in either order; in column-major order, ld is the distance
     * between two columns. */
    enum cblas_order order = matrix.row_major ? CBLAS_ROW_MAJOR : CBLAS_COL_MAJOR;
    backend_enter();
    if (a->dtype == DTYPE_F64)
        blas->dgemv(order, CBLAS_NO_TRANS, rows, columns, alpha.f64, matrix.data, matrix.ld,
                    from.data, from.step, beta.f64, into.data, into.step);
    else
        blas->sgemv(order, CBLAS_NO_TRANS, rows, columns, alpha.f32, matrix.data, matrix.ld,
                    from.data, from.step, beta.f32, into.data, into.step);
    backend_leave();
    /* BLAS wrote to a copy of the target, which was pushed last. */
    if (!in_place)
        tensor_assign(L, y, tensor_argument(L, -1, where), where);
}

void product_mm(lua_State *L, union scalar alpha, const struct tensor *a, const struct tensor *b,
                union scalar beta, const struct tensor *c, const char *where)
{
    if (!dtype_is_float(a->dtype) || a->count == 0 || b->count == 0) {
        scale(beta, c);
        if (a->count && b->count)
            integer_mm(alpha, a, b, c);
        return;
    }
    const struct backend *blas = backend_load(L);
    struct blas_matrix left = to_blas_matrix(L, a, where), right = to_blas_matrix(L, b, where);
    struct blas_matrix into = to_blas_matrix(L, c, where);
    bool in_place = into.data == tensor_data(c);
    enum cblas_order order = into.row_major ? CBLAS_ROW_MAJOR : CBLAS_COL_MAJOR;
    enum cblas_transpose left_is = left.row_major == into.row_major ? CBLAS_NO_TRANS : CBLAS_TRANS;
    enum cblas_transpose right_is =
        right.row_major == into.row_major ? CBLAS_NO_TRANS : CBLAS_TRANS;
    backend_enter();
    if (a->dtype == DTYPE_F64)
        blas->dgemm(order, left_is, right_is, into.rows, into.columns, left.columns, alpha.f64,
                    left.data, left.ld, right.data, right.ld, beta.f64, into.data, into.ld);
    else
        blas->sgemm(order, left_is, right_is, into.rows, into.columns, left.columns, alpha.f32,
                    left.data, left.ld, right.data, right.ld, beta.f32, into.data, into.ld);
    backend_leave();
    /* BLAS wrote to a copy of the target, which was pushed last. */
    if (!in_place)
        tensor_assign(L, c, tensor_argument(L, -1, where), where);
}

union scalar product_dot(lua_State *L, const struct tensor *x, const struct tensor *y)
{
    if (!dtype_is_float(x->dtype)) {
        uint64_t sum = integer_dot(x->dtype, x->count, tensor_data(x), step_of(x, 0),
                                   tensor_data(y), step_of(y, 0));
        return (union scalar){.i64 = (int64_t)sum};
    }
    double sum = 0;
    if (x->count == 0)
        return (union scalar){.f64 = 0};
    const struct backend *blas = backend_load(L);
    struct blas_vector left = to_blas_vector(L, x), right = to_blas_vector(L, y);
    size_t element = dtype_sizes[x->dtype];
    backend_enter();
    /* BLAS takes at most INT_MAX elements at a time. */
    for (int64_t done = 0; done < x->count;) {
        int length = x->count - done < INT_MAX ? (int)(x->count - done) : INT_MAX;
        const char *a = (const char *)left.data + (size_t)done * (size_t)left.step * element;
        const char *b = (const char *)right.data + (size_t)done * (size_t)right.step * element;
        if (x->dtype == DTYPE_F64)
            sum += blas->ddot(length, (const double *)a, left.step, (const double *)b, right.step);
        else
            sum += (double)blas->sdot(length, (const float *)a, left.step, (const float *)b,
                                      right.step);
        done += length;
    }
    backend_leave();
    return (union scalar){.f64 = sum};
}

/* Computes one row of y += alpha x: by BLAS where the length and both steps are positive and fit in
 * an int, else by a loop. */
static void float_axpy(const struct backend *blas, enum dtype dtype, int64_t length,
                       union scalar alpha, const char *x, int64_t x_step, char *y, int64_t y_step)
{
    int64_t element = (int64_t)dtype_sizes[dtype];
    int64_t x_inc = x_step / element, y_inc = y_step / element;
    bool blas_takes = fits(length) && fits(x_inc) && fits(y_inc);
    if (dtype == DTYPE_F64 && blas_takes) {
        blas->daxpy((int)length, alpha.f64, (const double *)x, (int)x_inc, (double *)y, (int)y_inc);
    } else if (blas_takes) {
        blas->saxpy((int)length, alpha.f32, (const float *)x, (int)x_inc, (float *)y, (int)y_inc);
    } else if (dtype == DTYPE_F64) {
        for (int64_t i = 0; i < length; i++)
            *(double *)(y + i * y_step) += alpha.f64 * *(const double *)(x + i * x_step);
    } else {
        for (int64_t i = 0; i < length; i++)
            *(float *)(y + i * y_step) += alpha.f32 * *(const float *)(x + i * x_step);
    }
}

void product_axpy(lua_State *L, union scalar alpha, const struct tensor *x, const struct tensor *y)
{
    bool is_float = dtype_is_float(x->dtype);
    const struct backend *blas = is_float ? backend_load(L) : NULL;
    x = without_overlap(L, y, x);
    struct walk walk;
    const struct tensor *operands[] = {y, x};
    if (is_float)
        backend_enter();
    for (walk_begin(&walk, 2, operands, WALK_ANY_ORDER); walk.rows; walk_next(&walk)) {
        if (is_float)
            float_axpy(blas, x->dtype, walk.length, alpha, walk.at[1], walk.step[1], walk.at[0],
                       walk.step[0]);
        else
            integer_axpy(x->dtype, walk.length, bits_of(x->dtype, alpha), walk.at[1], walk.step[1],
                         walk.at[0], walk.step[0]);
    }
    if (is_float)
        backend_leave();
}
