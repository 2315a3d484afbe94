/* Reductions: sum, mean, var, std, min, max, argmax, argmin, norm, of a whole tensor or along a
 * dimension. Sums of floats are pairwise in f64, of integers modulo 2^64 in i64. Not-a-number wins
 * every minimum and maximum, the first one where there are several. */
#include <math.h>
#include <lauxlib.h>

#include "base/util.h"
#include "base/value_text.h"
#include "tensor/tensor_argument.h"
#include "tensor/tensor_copy.h"
#include "tensor/tensor_scalar.h"
#include "tensor/tensor_walk.h"

/* ---- Kernels of one row ---- */

#define PAIRWISE_BLOCK 128

/* Pairwise sums in f64: the two halves of a row are summed separately, and so on down to
 * blocks of PAIRWISE_BLOCK, so that the error grows only with the logarithm of the length.
 * accurate_sum adds the elements; `squares` adds the squares of their distances from `center`. */
#define PAIRWISE(op, name, type, TERM)                                                             \
    static double op##_##name(int64_t length, const char *at, int64_t step, double center)         \
    {                                                                                              \
        if (length > PAIRWISE_BLOCK) {                                                             \
            int64_t half = length / 2;                                                             \
            return op##_##name(half, at, step, center) +                                           \
                   op##_##name(length - half, at + half * step, step, center);                     \
        }                                                                                          \
        double sum[4] = {0};                                                                       \
        int64_t i = 0;                                                                             \
        for (; i + 4 <= length; i += 4)                                                            \
            for (int j = 0; j < 4; j++) {                                                          \
                double x = (double)*(const type *)(at + (i + j) * step);                           \
                sum[j] += TERM;                                                                    \
            }                                                                                      \
        for (; i < length; i++) {                                                                  \
            double x = (double)*(const type *)(at + i * step);                                     \
            sum[0] += TERM;                                                                        \
        }                                                                                          \
        return (sum[0] + sum[1]) + (sum[2] + sum[3]);                                              \
    }
#define ACCURATE_SUM(name, type) PAIRWISE(accurate_sum, name, type, x)
#define SQUARES(name, type)      PAIRWISE(squares, name, type, (x - center) * (x - center))
FOR_NUMBERS(ACCURATE_SUM)
FOR_NUMBERS(SQUARES)

typedef double (*pairwise_kernel)(int64_t length, const char *at, int64_t step, double center);
static const pairwise_kernel accurate_sums[DTYPE_COUNT] = {accurate_sum_f64, accurate_sum_f32,
                                                           accurate_sum_i64, accurate_sum_i32,
                                                           accurate_sum_u8,  accurate_sum_u8};
static const pairwise_kernel sums_of_squares[DTYPE_COUNT] = {squares_f64, squares_f32, squares_i64,
                                                             squares_i32, squares_u8,  squares_u8};

#define INTEGER_SUM(name, type)                                                                    \
    static uint64_t sum_##name(int64_t length, const char *at, int64_t step)                       \
    {                                                                                              \
        uint64_t sum = 0;                                                                          \
        for (int64_t i = 0; i < length; i++)                                                       \
            sum += (uint64_t)(int64_t) * (const type *)(at + i * step);                            \
        return sum;                                                                                \
    }
FOR_INTEGERS(INTEGER_SUM)

/* The sum is in f64 for floats, else in i64 and modulo 2^64. */
static union scalar sum_row(enum dtype dtype, int64_t length, const char *at, int64_t step)
{
    switch (dtype) {
    case DTYPE_F64:
        return (union scalar){.f64 = accurate_sum_f64(length, at, step, 0)};
    case DTYPE_F32:
        return (union scalar){.f64 = accurate_sum_f32(length, at, step, 0)};
    case DTYPE_I64:
        return (union scalar){.i64 = (int64_t)sum_i64(length, at, step)};
    case DTYPE_I32:
        return (union scalar){.i64 = (int64_t)sum_i32(length, at, step)};
    default:
        return (union scalar){.i64 = (int64_t)sum_u8(length, at, step)};
    }
}

/* Kernels that return the position of the least or the greatest element; x != x is true of
 * not-a-number alone. */
#define EXTREME(op, name, type, BETTER)                                                            \
    static int64_t op##_##name(int64_t length, const char *at, int64_t step)                       \
    {                                                                                              \
        int64_t found = 0;                                                                         \
        type best = *(const type *)at;                                                             \
        for (int64_t i = 0; i < length; i++) {                                                     \
            type x = *(const type *)(at + i * step);                                               \
            if (x != x)                                                                            \
                return i;                                                                          \
            if (x BETTER best) {                                                                   \
                best = x;                                                                          \
                found = i;                                                                         \
            }                                                                                      \
        }                                                                                          \
        return found;                                                                              \
    }
#define LEAST(name, type)    EXTREME(least, name, type, <)
#define GREATEST(name, type) EXTREME(greatest, name, type, >)
FOR_NUMBERS(LEAST)
FOR_NUMBERS(GREATEST)

typedef int64_t (*extreme_kernel)(int64_t length, const char *at, int64_t step);
static const extreme_kernel least[DTYPE_COUNT] = {least_f64, least_f32, least_i64,
                                                  least_i32, least_u8,  least_u8};
static const extreme_kernel greatest[DTYPE_COUNT] = {greatest_f64, greatest_f32, greatest_i64,
                                                     greatest_i32, greatest_u8,  greatest_u8};

/* ---- Shapes of results along a dimension ---- */

struct shape {
    int dim;
    int64_t size[TENSOR_MAX_DIM];
};

static struct shape without_dim(const struct tensor *tensor, int d)
{
    struct shape shape = {.dim = tensor->dim - 1};
    for (int from = 0, to = 0; from < tensor->dim; from++)
        if (from != d)
            shape.size[to++] = tensor->size[from];
    return shape;
}

/* ---- Sums ---- */

static union scalar sum_all(const struct tensor *tensor)
{
    union scalar sum = {.i64 = 0}; /* these are also the bits of 0.0 */
    struct walk walk;
    const struct tensor *operands[] = {tensor};
    for (walk_begin(&walk, 1, operands, WALK_ANY_ORDER); walk.rows; walk_next(&walk)) {
        union scalar row = sum_row(tensor->dtype, walk.length, walk.at[0], walk.step[0]);
        if (dtype_is_float(tensor->dtype))
            sum.f64 += row.f64;
        else
            sum.i64 = (int64_t)((uint64_t)sum.i64 + (uint64_t)row.i64);
    }
    return sum;
}

static double pairwise_total(const struct tensor *tensor, const pairwise_kernel kernels[],
                             double center)
{
    double total = 0;
    struct walk walk;
    const struct tensor *operands[] = {tensor};
    for (walk_begin(&walk, 1, operands, WALK_ANY_ORDER); walk.rows; walk_next(&walk))
        total += kernels[tensor->dtype](walk.length, walk.at[0], walk.step[0], center);
    return total;
}

static int sum(lua_State *L)
{
    const char *where = "tensor:sum";
    const struct tensor *tensor = tensor_argument(L, 1, where);
    bool is_float = dtype_is_float(tensor->dtype);
    if (lua_isnoneornil(L, 2)) {
        union scalar total = sum_all(tensor);
        if (is_float)
            lua_pushnumber(L, total.f64);
        else
            lua_pushinteger(L, total.i64);
        return 1;
    }
    int d = dim_argument(L, 2, where, tensor);
    struct shape shape = without_dim(tensor, d);
    enum dtype dtype = is_float ? tensor->dtype : DTYPE_I64;
    char *to = tensor_data(tensor_new(L, dtype, shape.dim, shape.size, false));
    for (struct rows rows = rows_along(tensor, d); rows.remaining; next_row(&rows)) {
        union scalar total = sum_row(tensor->dtype, tensor->size[d], rows.at, rows.step);
        if (dtype == DTYPE_F32)
            *(float *)to = (float)total.f64;
        else
            *(int64_t *)to = total.i64;
        to += dtype_sizes[dtype];
    }
    return 1;
}

/* ---- Mean and variance ---- */

enum moment { MEAN, VARIANCE, DEVIATION };

/* The variance or deviation of `count` elements, from their sum of squares. As in NumPy, it is
 * infinity or not-a-number where count - ddof is not above 0. */
static double spread(enum moment moment, double squares, int64_t count, int64_t ddof)
{
    double freedom = count > ddof ? (double)(count - ddof) : 0;
    double variance = squares / freedom;
    return moment == VARIANCE ? variance : sqrt(variance);
}

static double moment_of_all(const struct tensor *tensor, enum moment moment, int64_t ddof)
{
    double mean = pairwise_total(tensor, accurate_sums, 0) / (double)tensor->count;
    if (moment == MEAN)
        return mean;
    return spread(moment, pairwise_total(tensor, sums_of_squares, mean), tensor->count, ddof);
}

static double moment_of_row(enum dtype dtype, int64_t length, const struct rows *rows,
                            enum moment moment, int64_t ddof)
{
    double mean = accurate_sums[dtype](length, rows->at, rows->step, 0) / (double)length;
    if (moment == MEAN)
        return mean;
    double squares = sums_of_squares[dtype](length, rows->at, rows->step, mean);
    return spread(moment, squares, length, ddof);
}

static int moments(lua_State *L, enum moment moment, int64_t ddof, const char *where)
{
    const struct tensor *tensor = tensor_argument(L, 1, where);
    if (lua_isnoneornil(L, 2)) {
        lua_pushnumber(L, moment_of_all(tensor, moment, ddof));
        return 1;
    }
    int d = dim_argument(L, 2, where, tensor);
    struct shape shape = without_dim(tensor, d);
    enum dtype dtype = tensor->dtype == DTYPE_F32 ? DTYPE_F32 : DTYPE_F64;
    char *to = tensor_data(tensor_new(L, dtype, shape.dim, shape.size, false));
    for (struct rows rows = rows_along(tensor, d); rows.remaining; next_row(&rows)) {
        double value = moment_of_row(tensor->dtype, tensor->size[d], &rows, moment, ddof);
        if (dtype == DTYPE_F32)
            *(float *)to = (float)value;
        else
            *(double *)to = value;
        to += dtype_sizes[dtype];
    }
    return 1;
}

static int64_t ddof_argument(lua_State *L, int index, const char *where)
{
    int exact = 1;
    lua_Integer ddof = 0;
    if (!lua_isnoneornil(L, index))
        ddof = lua_type(L, index) == LUA_TNUMBER ? lua_tointegerx(L, index, &exact) : (exact = 0);
    if (!exact || ddof < 0)
        raise_error(L, where, "ddof is %.80s; expected an integer of 0 or more",
                    push_brief(L, index));
    return ddof;
}

static int mean(lua_State *L)
{
    return moments(L, MEAN, 0, "tensor:mean");
}

static int var(lua_State *L)
{
    return moments(L, VARIANCE, ddof_argument(L, 3, "tensor:var"), "tensor:var");
}

static int std(lua_State *L)
{
    return moments(L, DEVIATION, ddof_argument(L, 3, "tensor:std"), "tensor:std");
}

/* ---- Extremes ---- */

static void check_not_empty(lua_State *L, const struct tensor *tensor, int64_t size,
                            const char *where)
{
    if (size == 0)
        raise_error(L, where, "a tensor of %s has no elements here; expected at least one",
                    shape_text(tensor->dim, tensor->size));
}

/* Pushes the indices, from 1, of element `position` in row-major order. */
static int push_indices(lua_State *L, const struct tensor *tensor, int64_t position)
{
    luaL_checkstack(L, tensor->dim, "tensor:argmax");
    int64_t index[TENSOR_MAX_DIM] = {0};
    for (int d = tensor->dim - 1; d >= 0; d--) {
        index[d] = position % tensor->size[d];
        position /= tensor->size[d];
    }
    for (int d = 0; d < tensor->dim; d++)
        lua_pushinteger(L, index[d] + 1);
    return tensor->dim;
}

static int extreme_of_all(lua_State *L, const struct tensor *tensor, extreme_kernel kernel,
                          bool wants_index)
{
    if (!tensor_is_contiguous(tensor))
        tensor = tensor_clone(L, tensor);
    const char *data = tensor_data(tensor);
    int64_t element = (int64_t)dtype_sizes[tensor->dtype];
    int64_t position = kernel(tensor->count, data, element);
    if (wants_index)
        return push_indices(L, tensor, position);
    scalar_push(L, tensor->dtype, data + position * element);
    return 1;
}

static int extreme(lua_State *L, const extreme_kernel kernels[], bool wants_index,
                   const char *where)
{
    const struct tensor *tensor = tensor_argument(L, 1, where);
    extreme_kernel kernel = kernels[tensor->dtype];
    if (lua_isnoneornil(L, 2)) {
        check_not_empty(L, tensor, tensor->count, where);
        return extreme_of_all(L, tensor, kernel, wants_index);
    }
    int d = dim_argument(L, 2, where, tensor);
    check_not_empty(L, tensor, tensor->size[d], where);
    struct shape shape = without_dim(tensor, d);
    enum dtype dtype = wants_index ? DTYPE_I64 : tensor->dtype;
    size_t element = dtype_sizes[dtype];
    char *to = tensor_data(tensor_new(L, dtype, shape.dim, shape.size, false));
    for (struct rows rows = rows_along(tensor, d); rows.remaining; next_row(&rows)) {
        int64_t position = kernel(tensor->size[d], rows.at, rows.step);
        if (wants_index)
            *(int64_t *)to = position + 1;
        else
            copy_row(element, 1, to, 0, rows.at + position * rows.step, 0);
        to += element;
    }
    return 1;
}

static int min(lua_State *L)
{
    return extreme(L, least, false, "tensor:min");
}

static int max(lua_State *L)
{
    return extreme(L, greatest, false, "tensor:max");
}

static int argmin(lua_State *L)
{
    return extreme(L, least, true, "tensor:argmin");
}

static int argmax(lua_State *L)
{
    return extreme(L, greatest, true, "tensor:argmax");
}

/* ---- Norm ---- */

/* The greatest absolute value of the elements. */
static double greatest_distance(const struct tensor *tensor)
{
    double most = 0;
    struct walk walk;
    const struct tensor *operands[] = {tensor};
    for (walk_begin(&walk, 1, operands, WALK_ANY_ORDER); walk.rows; walk_next(&walk))
        for (int64_t i = 0; i < walk.length; i++)
            most = fmax(most, fabs(scalar_to_double(tensor->dtype, walk.at[0] + i * walk.step[0])));
    return most;
}

/* The norm computed in units of the largest element, for squares that would leave the range of
 * f64. */
static double scaled_norm(const struct tensor *tensor)
{
    double unit = greatest_distance(tensor), total = 0;
    if (unit == 0 || isinf(unit))
        return unit;
    struct walk walk;
    const struct tensor *operands[] = {tensor};
    for (walk_begin(&walk, 1, operands, WALK_ANY_ORDER); walk.rows; walk_next(&walk))
        for (int64_t i = 0; i < walk.length; i++) {
            double x = scalar_to_double(tensor->dtype, walk.at[0] + i * walk.step[0]) / unit;
            total += x * x;
        }
    return unit * sqrt(total);
}

static int norm(lua_State *L)
{
    const struct tensor *tensor = tensor_argument(L, 1, "tensor:norm");
    double squares = pairwise_total(tensor, sums_of_squares, 0);
    /* Where the sum is less than 1e-280, squares may have lost digits by underflow. */
    bool in_range = isnan(squares) || (squares >= 1e-280 && !isinf(squares));
    lua_pushnumber(L, in_range ? sqrt(squares) : scaled_norm(tensor));
    return 1;
}

const luaL_Reg tensor_reduce_methods[] = {
    {"sum", sum}, {"mean", mean},     {"var", var},       {"std", std},   {"min", min},
    {"max", max}, {"argmin", argmin}, {"argmax", argmax}, {"norm", norm}, {NULL, NULL},
};
