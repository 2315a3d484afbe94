/* Functions of one element, in place: sqrt, exp, log, abs, floor, ceil, round. */
#include <math.h>
#include <lauxlib.h>

#include "base/util.h"
#include "tensor/tensor_argument.h"
#include "tensor/tensor_walk.h"

typedef void (*unary_kernel)(int64_t length, char *at, int64_t step);

#define KERNEL(op, name, type, EXPRESSION)                                                         \
    static void op##_##name(int64_t length, char *at, int64_t step)                                \
    {                                                                                              \
        for (int64_t i = 0; i < length; i++) {                                                     \
            type x = *(const type *)(at + i * step);                                               \
            *(type *)(at + i * step) = (type)(EXPRESSION);                                         \
        }                                                                                          \
    }

static void unchanged(int64_t length, char *at, int64_t step)
{
    (void)length, (void)at, (void)step;
}

#define FLOATS_ONLY(op)                                                                            \
    KERNEL(op, f64, double, op(x))                                                                 \
    KERNEL(op, f32, float, op##f(x))                                                               \
    static const unary_kernel op##_kernels[DTYPE_COUNT] = {op##_f64, op##_f32};

/* Integers and bools are whole already, so the function leaves them unchanged. */
#define WHOLE_ALREADY(op)                                                                          \
    KERNEL(op, f64, double, op(x))                                                                 \
    KERNEL(op, f32, float, op##f(x))                                                               \
    static const unary_kernel op##_kernels[DTYPE_COUNT] = {op##_f64,  op##_f32,  unchanged,        \
                                                           unchanged, unchanged, unchanged};

FLOATS_ONLY(sqrt)
FLOATS_ONLY(exp)
FLOATS_ONLY(log)
WHOLE_ALREADY(floor)
WHOLE_ALREADY(ceil)
WHOLE_ALREADY(round)

KERNEL(abs, f64, double, fabs(x))
KERNEL(abs, f32, float, fabsf(x))
KERNEL(abs, i64, int64_t, x < 0 ? 0 - (uint64_t)x : (uint64_t)x)
KERNEL(abs, i32, int32_t, x < 0 ? 0 - (uint32_t)x : (uint32_t)x)
static const unary_kernel abs_kernels[DTYPE_COUNT] = {abs_f64, abs_f32, abs_i64, abs_i32,
                                                      unchanged};

static int in_place(lua_State *L, const unary_kernel kernels[], const char *where)
{
    const struct tensor *tensor = tensor_argument(L, 1, where);
    check_target(L, tensor, where);
    unary_kernel kernel = kernels[tensor->dtype];
    if (!kernel)
        raise_error(L, where, "the tensor is %s; expected f64 or f32", dtype_names[tensor->dtype]);
    struct walk walk;
    const struct tensor *operands[] = {tensor};
    for (walk_begin(&walk, 1, operands, WALK_ANY_ORDER); walk.rows; walk_next(&walk))
        kernel(walk.length, walk.at[0], walk.step[0]);
    lua_settop(L, 1);
    return 1;
}

#define METHOD(op)                                                                                 \
    static int op##_method(lua_State *L)                                                           \
    {                                                                                              \
        return in_place(L, op##_kernels, "tensor:" #op);                                           \
    }

METHOD(sqrt)
METHOD(exp)
METHOD(log)
METHOD(abs)
METHOD(floor)
METHOD(ceil)
METHOD(round)

const luaL_Reg tensor_math_methods[] = {
    {"sqrt", sqrt_method},   {"exp", exp_method},   {"log", log_method},     {"abs", abs_method},
    {"floor", floor_method}, {"ceil", ceil_method}, {"round", round_method}, {NULL, NULL},
};
