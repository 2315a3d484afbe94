/* Copies, conversions between dtypes, and filling. */
#include "tensor/tensor_copy.h"

#include <math.h>
#include <lauxlib.h>

#include "base/util.h"
#include "tensor/tensor_argument.h"
#include "tensor/tensor_scalar.h"
#include "tensor/tensor_walk.h"

/* Sets the first byte of the tensor's elements and the byte after their last one. */
static void extent(const struct tensor *tensor, const char **first, const char **end)
{
    int64_t element = (int64_t)dtype_sizes[tensor->dtype];
    *first = *end = tensor_data(tensor);
    if (tensor->count == 0)
        return;
    for (int d = 0; d < tensor->dim; d++) {
        int64_t span = (tensor->size[d] - 1) * tensor->stride[d] * element;
        if (span < 0)
            *first += span;
        else
            *end += span;
    }
    *end += element;
}

static bool same_layout(const struct tensor *a, const struct tensor *b)
{
    if (a->offset != b->offset || a->dtype != b->dtype || !same_shape(a, b))
        return false;
    for (int d = 0; d < a->dim; d++)
        if (a->size[d] > 1 && a->stride[d] != b->stride[d])
            return false;
    return true;
}

bool shares_memory(const struct tensor *a, const struct tensor *b)
{
    if (a->storage != b->storage)
        return false;
    const char *a_first, *a_end, *b_first, *b_end;
    extent(a, &a_first, &a_end);
    extent(b, &b_first, &b_end);
    return a_first < b_end && b_first < a_end;
}

/* Whether writing `target` element by element could change `source` before it is read. */
static bool overlaps(const struct tensor *target, const struct tensor *source)
{
    return shares_memory(target, source) && !same_layout(target, source);
}

const struct tensor *without_overlap(lua_State *L, const struct tensor *target,
                                     const struct tensor *source)
{
    return overlaps(target, source) ? tensor_clone(L, source) : source;
}

struct tensor *tensor_like(lua_State *L, const struct tensor *tensor, enum dtype dtype)
{
    return tensor_new(L, dtype, tensor->dim, tensor->size, false);
}

void tensor_copy_to(const struct tensor *tensor, void *bytes)
{
    size_t element = dtype_sizes[tensor->dtype];
    char *to = bytes;
    struct walk walk;
    const struct tensor *operands[] = {tensor};
    for (walk_begin(&walk, 1, operands, WALK_ROW_MAJOR); walk.rows; walk_next(&walk)) {
        copy_row(element, walk.length, to, (int64_t)element, walk.at[0], walk.step[0]);
        to += (size_t)walk.length * element;
    }
}

struct tensor *tensor_clone(lua_State *L, const struct tensor *tensor)
{
    struct tensor *copy = tensor_like(L, tensor, tensor->dtype);
    tensor_copy_to(tensor, tensor_data(copy));
    return copy;
}

void tensor_fill(const struct tensor *tensor, union scalar scalar)
{
    size_t element = dtype_sizes[tensor->dtype];
    struct walk walk;
    const struct tensor *operands[] = {tensor};
    for (walk_begin(&walk, 1, operands, WALK_ANY_ORDER); walk.rows; walk_next(&walk))
        copy_row(element, walk.length, walk.at[0], walk.step[0], (const char *)&scalar, 0);
}

/* Converts a row. Returns the position of the first element that the target's dtype cannot hold, or
 * -1. */
typedef int64_t (*convert_kernel)(int64_t length, char *to, int64_t to_step, const char *from,
                                  int64_t from_step);

/* A function call, so that no compiler warns of a condition that is constant. */
static inline bool always(void)
{
    return true;
}

#define IN_I64(x)                                                                                  \
    ((double)(x) >= -0x1p63 && (double)(x) < 0x1p63 && (double)(x) == rint((double)(x)))
#define IN_I32(x)                                                                                  \
    ((double)(x) >= INT32_MIN && (double)(x) <= INT32_MAX && (double)(x) == rint((double)(x)))
#define IN_U8(x)   ((x) >= 0 && (x) <= UINT8_MAX && (double)(x) == rint((double)(x)))
#define IN_BOOL(x) ((x) == 0 || (x) == 1)
#define IN_ANY(x)  ((void)(x), always())

#define KERNEL(to_name, to_type, from_name, from_type, FITS)                                       \
    static int64_t from_name##_to_##to_name(int64_t length, char *to, int64_t to_step,             \
                                            const char *from, int64_t from_step)                   \
    {                                                                                              \
        for (int64_t i = 0; i < length; i++) {                                                     \
            from_type x = *(const from_type *)(from + i * from_step);                              \
            if (!FITS(x))                                                                          \
                return i;                                                                          \
            *(to_type *)(to + i * to_step) = (to_type)x;                                           \
        }                                                                                          \
        return -1;                                                                                 \
    }

#define KERNELS_FROM(name, type, FITS_I64, FITS_I32, FITS_U8)                                      \
    KERNEL(f64, double, name, type, IN_ANY)                                                        \
    KERNEL(f32, float, name, type, IN_ANY)                                                         \
    KERNEL(i64, int64_t, name, type, FITS_I64)                                                     \
    KERNEL(i32, int32_t, name, type, FITS_I32)                                                     \
    KERNEL(u8, uint8_t, name, type, FITS_U8)                                                       \
    KERNEL(bool, uint8_t, name, type, IN_BOOL)

KERNELS_FROM(f64, double, IN_I64, IN_I32, IN_U8)
KERNELS_FROM(f32, float, IN_I64, IN_I32, IN_U8)
KERNELS_FROM(i64, int64_t, IN_ANY, IN_I32, IN_U8)
KERNELS_FROM(i32, int32_t, IN_ANY, IN_ANY, IN_U8)
KERNELS_FROM(u8, uint8_t, IN_ANY, IN_ANY, IN_ANY)

#define KERNEL_ROW(name)                                                                           \
    {                                                                                              \
        name##_to_f64, name##_to_f32, name##_to_i64, name##_to_i32, name##_to_u8, name##_to_bool   \
    }

static const convert_kernel kernels[DTYPE_COUNT][DTYPE_COUNT] = {
    [DTYPE_F64] = KERNEL_ROW(f64), [DTYPE_F32] = KERNEL_ROW(f32), [DTYPE_I64] = KERNEL_ROW(i64),
    [DTYPE_I32] = KERNEL_ROW(i32), [DTYPE_U8] = KERNEL_ROW(u8),   [DTYPE_BOOL] = KERNEL_ROW(u8),
};

void tensor_assign(lua_State *L, const struct tensor *target, const struct tensor *source,
                   const char *where)
{
    if (same_layout(target, source) && target->storage == source->storage)
        return;
    source = without_overlap(L, target, source);
    size_t element = dtype_sizes[target->dtype];
    convert_kernel convert = kernels[source->dtype][target->dtype];
    bool same = target->dtype == source->dtype;
    struct walk walk;
    const struct tensor *operands[] = {target, source};
    for (walk_begin(&walk, 2, operands, WALK_ANY_ORDER); walk.rows; walk_next(&walk)) {
        if (same) {
            copy_row(element, walk.length, walk.at[0], walk.step[0], walk.at[1], walk.step[1]);
            continue;
        }
        int64_t bad = convert(walk.length, walk.at[0], walk.step[0], walk.at[1], walk.step[1]);
        if (bad < 0)
            continue;
        scalar_push(L, source->dtype, walk.at[1] + bad * walk.step[1]);
        raise_error(L, where, "an element is %s, which %s cannot hold%s",
                    luaL_tolstring(L, -1, NULL), dtype_names[target->dtype],
                    dtype_is_float(source->dtype) ? "; round it first: floor(), round()" : "");
    }
}

static int clone(lua_State *L)
{
    tensor_clone(L, tensor_argument(L, 1, "tensor:clone"));
    return 1;
}

static int contiguous(lua_State *L)
{
    const struct tensor *tensor = tensor_argument(L, 1, "tensor:contiguous");
    if (tensor_is_contiguous(tensor))
        lua_settop(L, 1);
    else
        tensor_clone(L, tensor);
    return 1;
}

static int is_contiguous(lua_State *L)
{
    lua_pushboolean(L, tensor_is_contiguous(tensor_argument(L, 1, "tensor:is_contiguous")));
    return 1;
}

static int to(lua_State *L)
{
    const struct tensor *tensor = tensor_argument(L, 1, "tensor:to");
    enum dtype dtype = dtype_argument(L, 2, "tensor:to", tensor->dtype);
    const struct tensor *copy = tensor_like(L, tensor, dtype);
    tensor_assign(L, copy, tensor, "tensor:to");
    return 1;
}

static int copy(lua_State *L)
{
    const char *where = "tensor:copy";
    const struct tensor *target = tensor_argument(L, 1, where);
    const struct tensor *source = tensor_argument(L, 2, where);
    check_target(L, target, where);
    check_same_shape(L, target, source, where);
    tensor_assign(L, target, source, where);
    lua_settop(L, 1);
    return 1;
}

static int fill(lua_State *L)
{
    const struct tensor *tensor = tensor_argument(L, 1, "tensor:fill");
    tensor_check_writable(L, tensor, "tensor:fill");
    tensor_fill(tensor, scalar_argument(L, 2, "tensor:fill", tensor->dtype));
    lua_settop(L, 1);
    return 1;
}

static int zero(lua_State *L)
{
    const struct tensor *tensor = tensor_argument(L, 1, "tensor:zero");
    tensor_check_writable(L, tensor, "tensor:zero");
    tensor_fill(tensor, (union scalar){.i64 = 0});
    lua_settop(L, 1);
    return 1;
}

const luaL_Reg tensor_copy_methods[] = {
    {"clone", clone},
    {"contiguous", contiguous},
    {"is_contiguous", is_contiguous},
    {"to", to},
    {"copy", copy},
    {"fill", fill},
    {"zero", zero},
    {NULL, NULL},
};
