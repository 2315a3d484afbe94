/* Whole tensors compared: equal, allclose. */
#include <math.h>
#include <lauxlib.h>

#include "base/util.h"
#include "tensor/tensor_argument.h"
#include "tensor/tensor_scalar.h"
#include "tensor/tensor_walk.h"

#define EQUAL(name, type)                                                                          \
    static bool equal_##name(int64_t length, const char *a, int64_t a_step, const char *b,         \
                             int64_t b_step)                                                       \
    {                                                                                              \
        for (int64_t i = 0; i < length; i++)                                                       \
            if (*(const type *)(a + i * a_step) != *(const type *)(b + i * b_step))                \
                return false;                                                                      \
        return true;                                                                               \
    }
FOR_NUMBERS(EQUAL)

typedef bool (*equal_kernel)(int64_t length, const char *a, int64_t a_step, const char *b,
                             int64_t b_step);
static const equal_kernel kernels[DTYPE_COUNT] = {equal_f64, equal_f32, equal_i64,
                                                  equal_i32, equal_u8,  equal_u8};

static bool tensor_equal(const struct tensor *a, const struct tensor *b)
{
    if (a->dtype != b->dtype || !same_shape(a, b))
        return false;
    struct walk walk;
    const struct tensor *operands[] = {a, b};
    for (walk_begin(&walk, 2, operands, WALK_ANY_ORDER); walk.rows; walk_next(&walk))
        if (!kernels[a->dtype](walk.length, walk.at[0], walk.step[0], walk.at[1], walk.step[1]))
            return false;
    return true;
}

static int equal(lua_State *L)
{
    const struct tensor *a = tensor_argument(L, 1, "lk.tensor.equal");
    const struct tensor *b = tensor_argument(L, 2, "lk.tensor.equal");
    lua_pushboolean(L, tensor_equal(a, b));
    return 1;
}

/* An infinity is close only to itself, and not-a-number to nothing. */
static bool is_close(double x, double y, double relative, double absolute)
{
    return x == y || (isfinite(y) && fabs(x - y) <= absolute + relative * fabs(y));
}

static bool tensor_close(const struct tensor *a, const struct tensor *b, double relative,
                         double absolute)
{
    struct walk walk;
    const struct tensor *operands[] = {a, b};
    for (walk_begin(&walk, 2, operands, WALK_ANY_ORDER); walk.rows; walk_next(&walk))
        for (int64_t i = 0; i < walk.length; i++) {
            double x = scalar_to_double(a->dtype, walk.at[0] + i * walk.step[0]);
            double y = scalar_to_double(b->dtype, walk.at[1] + i * walk.step[1]);
            if (!is_close(x, y, relative, absolute))
                return false;
        }
    return true;
}

static double tolerance(lua_State *L, int index, const char *where, double absent)
{
    if (lua_isnoneornil(L, index))
        return absent;
    double value = number_argument(L, index, where, "the tolerance");
    if (!(value >= 0))
        raise_error(L, where, "the tolerance is %g; expected 0 or more", value);
    return value;
}

static int allclose(lua_State *L)
{
    const char *where = "lk.tensor.allclose";
    const struct tensor *a = tensor_argument(L, 1, where), *b = tensor_argument(L, 2, where);
    check_same_shape(L, a, b, where);
    double relative = tolerance(L, 3, where, 1e-5), absolute = tolerance(L, 4, where, 1e-8);
    lua_pushboolean(L, tensor_close(a, b, relative, absolute));
    return 1;
}

const luaL_Reg tensor_compare_functions[] = {
    {"equal", equal}, {"allclose", allclose}, {NULL, NULL}};
const luaL_Reg tensor_compare_methods[] = {{"equal", equal}, {"allclose", allclose}, {NULL, NULL}};
