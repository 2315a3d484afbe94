/* The functions of lk.tensor that make tensors. */
#include <math.h>
#include <lauxlib.h>

#include "base/random.h"
#include "base/util.h"
#include "base/value_text.h"
#include "tensor/tensor_argument.h"
#include "tensor/tensor_copy.h"
#include "tensor/tensor_element.h"
#include "tensor/tensor_scalar.h"

static struct tensor *new_of_shape(lua_State *L, const char *where, int dtype_index, bool zeroed)
{
    int64_t size[TENSOR_MAX_DIM];
    int dim = shape_argument(L, 1, where, false, size);
    /* In other libraries sizes are separate arguments: zeros(2, 3). */
    if (lua_isinteger(L, 1) && lua_type(L, dtype_index) == LUA_TNUMBER)
        raise_error(L, where, "the dtype is a number; expected sizes in a table, as in {2, 3}");
    enum dtype dtype = dtype_argument(L, dtype_index, where, DTYPE_F64);
    return tensor_new(L, dtype, dim, size, zeroed);
}

static int zeros(lua_State *L)
{
    new_of_shape(L, "lk.tensor.zeros", 2, true);
    return 1;
}

static int ones(lua_State *L)
{
    const struct tensor *tensor = new_of_shape(L, "lk.tensor.ones", 2, false);
    tensor_fill(tensor, scalar_of(tensor->dtype, 1));
    return 1;
}

static int full(lua_State *L)
{
    const struct tensor *tensor = new_of_shape(L, "lk.tensor.full", 3, false);
    tensor_fill(tensor, scalar_argument(L, 2, "lk.tensor.full", tensor->dtype));
    return 1;
}

static int from(lua_State *L)
{
    const char *where = "lk.tensor.from";
    const struct tensor *tensor = tensor_test(L, 1);
    if (!tensor && !lua_istable(L, 1) && !lua_isnumber(L, 1) && !lua_isboolean(L, 1))
        raise_error(L, where, "argument 1 is %s; expected a table of numbers", type_text(L, 1));
    enum dtype dtype = dtype_argument(L, 2, where, tensor ? tensor->dtype : DTYPE_F64);
    if (tensor)
        tensor_assign(L, tensor_like(L, tensor, dtype), tensor, where);
    else
        tensor_from_table(L, 1, dtype, where);
    return 1;
}

static int random_tensor(lua_State *L, const char *where, double (*draw)(struct random_stream *))
{
    const struct tensor *tensor = new_of_shape(L, where, 2, false);
    if (!dtype_is_float(tensor->dtype))
        raise_error(L, where, "the dtype is %s; expected f64 or f32", dtype_names[tensor->dtype]);
    struct random_stream *stream = random_current();
    for (int64_t i = 0; i < tensor->count; i++) {
        if (tensor->dtype == DTYPE_F64)
            ((double *)tensor_data(tensor))[i] = draw(stream);
        else
            ((float *)tensor_data(tensor))[i] = (float)draw(stream);
    }
    return 1;
}

static int randn(lua_State *L)
{
    return random_tensor(L, "lk.tensor.randn", random_normal);
}

/* Uniform in [0, 1), from 24 random bits, because rounding an f64 below 1 to f32 would sometimes
 * give 1. */
static double draw_uniform_f32(struct random_stream *stream)
{
    return (double)(random_bits(stream) >> 40) * 0x1p-24;
}

static int rand_uniform(lua_State *L)
{
    const char *where = "lk.tensor.rand";
    bool is_f32 = dtype_argument(L, 2, where, DTYPE_F64) == DTYPE_F32;
    return random_tensor(L, where, is_f32 ? draw_uniform_f32 : random_uniform);
}

/* The arguments of arange(last), arange(first, last) or arange(first, last, step), each of which a
 * dtype may follow. */
struct range {
    bool integers; /* all three numbers are integers */
    int64_t first, step;
    double float_first, float_step;
    int64_t count;
};

static int64_t integer_count(int64_t first, int64_t last, int64_t step)
{
    if (step == 0 || (step > 0 ? first > last : first < last))
        return 0;
    uint64_t span = step > 0 ? (uint64_t)last - (uint64_t)first : (uint64_t)first - (uint64_t)last;
    uint64_t stride = step > 0 ? (uint64_t)step : 0 - (uint64_t)step;
    uint64_t count = span / stride;
    return count < INT64_MAX ? (int64_t)count + 1 : INT64_MAX;
}

static struct range range_arguments(lua_State *L, int given, const char *where)
{
    static const char *const names[] = {"the first value", "the last value", "the step"};
    if (given < 1 || given > 3)
        raise_error(L, where, "%d numbers; expected from 1 to 3", given);
    double number[3] = {1, 0, 1};
    int64_t integer[3] = {1, 0, 1};
    struct range range = {.integers = true};
    for (int i = 0; i < given; i++) {
        /* A single number is the last value. */
        int which = given == 1 ? 1 : i;
        number[which] = number_argument(L, i + 1, where, names[which]);
        int exact;
        integer[which] = lua_tointegerx(L, i + 1, &exact);
        range.integers &= exact && lua_isinteger(L, i + 1);
    }
    if (!isfinite(number[0]) || !isfinite(number[1]) || !isfinite(number[2]) || number[2] == 0)
        raise_error(L, where,
                    "from %g to %g in steps of %g; expected finite numbers and a step other than "
                    "0",
                    number[0], number[1], number[2]);
    range.first = integer[0], range.step = integer[2];
    range.float_first = number[0], range.float_step = number[2];
    if (range.integers) {
        range.count = integer_count(integer[0], integer[1], integer[2]);
    } else {
        double steps = floor((number[1] - number[0]) / number[2]);
        if (!(steps < 0x1p53))
            raise_error(L, where, "%g steps; expected fewer than 2^53", steps);
        range.count = steps < 0 ? 0 : (int64_t)steps + 1;
    }
    return range;
}

static int arange(lua_State *L)
{
    const char *where = "lk.tensor.arange";
    int given = lua_gettop(L);
    bool names_dtype = given > 0 && lua_type(L, given) == LUA_TSTRING;
    enum dtype dtype = names_dtype ? dtype_argument(L, given--, where, DTYPE_F64) : DTYPE_F64;
    struct range range = range_arguments(L, given, where);
    enum dtype exact = range.integers ? DTYPE_I64 : DTYPE_F64;
    const struct tensor *tensor = tensor_new(L, exact, 1, &range.count, false);
    for (int64_t i = 0; i < range.count; i++) {
        if (range.integers)
            ((int64_t *)tensor_data(tensor))[i] =
                (int64_t)((uint64_t)range.first + (uint64_t)i * (uint64_t)range.step);
        else
            ((double *)tensor_data(tensor))[i] = range.float_first + (double)i * range.float_step;
    }
    if (exact != dtype)
        tensor_assign(L, tensor_like(L, tensor, dtype), tensor, where);
    return 1;
}

const luaL_Reg tensor_create_functions[] = {
    {"zeros", zeros},       {"ones", ones},   {"full", full},     {"from", from},
    {"rand", rand_uniform}, {"randn", randn}, {"arange", arange}, {NULL, NULL},
};
