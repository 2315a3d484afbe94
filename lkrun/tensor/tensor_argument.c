/* Arguments of tensor functions, checked, and values of elements between C and Lua. */
#include "tensor/tensor_class.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/nearest.h"
#include "base/value_text.h"
#include "base/util.h"

struct tensor *tensor_argument(lua_State *L, int index, const char *where)
{
    struct tensor *tensor = tensor_test(L, index);
    if (!tensor)
        raise_error(L, where, "argument %d is %s; expected a tensor", index, type_text(L, index));
    return tensor;
}

int64_t integer_argument(lua_State *L, int index, const char *where, const char *what)
{
    int exact;
    int64_t value = lua_tointegerx(L, index, &exact);
    if (exact && lua_type(L, index) == LUA_TNUMBER)
        return value;
    if (lua_type(L, index) == LUA_TNUMBER)
        raise_error(L, where, "%s is %.14g; expected an integer", what, lua_tonumber(L, index));
    raise_error(L, where, "%s is %s; expected an integer", what, type_text(L, index));
    return 0;
}

double number_argument(lua_State *L, int index, const char *where, const char *what)
{
    if (lua_type(L, index) != LUA_TNUMBER)
        raise_error(L, where, "%s is %s; expected a number", what, type_text(L, index));
    return lua_tonumber(L, index);
}

static void refuse_option(lua_State *L, const char *name, const char *const *names,
                          const char *where)
{
    luaL_Buffer list;
    luaL_buffinit(L, &list);
    for (int i = 0; names[i]; i++) {
        if (i > 0)
            luaL_addstring(&list, ", ");
        luaL_addstring(&list, names[i]);
    }
    luaL_pushresult(&list);
    const char *all = lua_tostring(L, -1);
    raise_error(L, where, "unknown option '%.40s'%s; there are %s", name,
                push_nearest_name(L, name, names), all);
}

void options_argument(lua_State *L, int index, const char *const *names, const char *where)
{
    bool given = !lua_isnil(L, index);
    if (given && !lua_istable(L, index))
        raise_error(L, where, "the options are %s; expected a table", type_text(L, index));
    for (int i = 0; names[i]; i++) {
        if (given)
            lua_getfield(L, index, names[i]);
        else
            lua_pushnil(L);
    }
    if (!given)
        return;
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
        const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
        bool known = false;
        for (int i = 0; names[i]; i++)
            known = known || strcmp(name, names[i]) == 0;
        if (!known)
            refuse_option(L, name, names, where);
    }
}

enum dtype dtype_argument(lua_State *L, int index, const char *where, enum dtype absent)
{
    if (lua_isnoneornil(L, index))
        return absent;
    if (lua_type(L, index) != LUA_TSTRING)
        raise_error(L, where, "the dtype is %s; expected f64, f32, i64, i32, u8 or bool",
                    type_text(L, index));
    const char *name = lua_tostring(L, index);
    for (int dtype = 0; dtype < DTYPE_COUNT; dtype++)
        if (strcmp(name, dtype_names[dtype]) == 0)
            return (enum dtype)dtype;
    raise_error(L, where, "no dtype is called '%.40s'; there are f64, f32, i64, i32, u8 and bool",
                name);
    return absent;
}

static int64_t one_size(lua_State *L, int index, const char *where)
{
    int64_t size = integer_argument(L, index, where, "a size");
    if (size < 0)
        raise_error(L, where, "a size is %lld; sizes are 0 or more", (long long)size);
    return size;
}

static void check_dimensions(lua_State *L, size_t dim, const char *where)
{
    if (dim > TENSOR_MAX_DIM)
        raise_error(L, where, "the shape has %zu dimensions; a tensor has at most %d", dim,
                    TENSOR_MAX_DIM);
}

int shape_argument(lua_State *L, int index, const char *where, bool rest,
                   int64_t size[TENSOR_MAX_DIM])
{
    if (lua_istable(L, index)) {
        size_t dim = lua_rawlen(L, index);
        check_dimensions(L, dim, where);
        for (size_t d = 0; d < dim; d++) {
            lua_rawgeti(L, index, (lua_Integer)d + 1);
            size[d] = one_size(L, -1, where);
            lua_pop(L, 1);
        }
        return (int)dim;
    }
    if (lua_type(L, index) != LUA_TNUMBER)
        raise_error(L, where, "the shape is %s; expected a table of sizes, such as {2, 3}",
                    type_text(L, index));
    int last = rest ? lua_gettop(L) : index;
    check_dimensions(L, (size_t)(last - index + 1), where);
    for (int i = index; i <= last; i++)
        size[i - index] = one_size(L, i, where);
    return last - index + 1;
}

int dim_argument(lua_State *L, int index, const char *where, const struct tensor *tensor)
{
    int64_t dim = integer_argument(L, index, where, "the dimension");
    if (tensor->dim == 0)
        raise_error(L, where, "the tensor is a scalar; it has no dimension %lld", (long long)dim);
    if (dim < 1 || dim > tensor->dim)
        raise_error(L, where, "there is no dimension %lld; it is from 1 to %d", (long long)dim,
                    tensor->dim);
    return (int)dim - 1;
}

int64_t position_argument(lua_State *L, int index, const char *where, int dim, int64_t size)
{
    int64_t position = integer_argument(L, index, where, "the index");
    if (position >= 1 && position <= size)
        return position - 1;
    if (size == 0)
        raise_error(L, where, "index %lld in dimension %d; it is empty", (long long)position,
                    dim + 1);
    raise_error(L, where, "index %lld in dimension %d; it is from 1 to %lld", (long long)position,
                dim + 1, (long long)size);
    return 0;
}

static bool integer_in(lua_State *L, int index, int64_t least, int64_t most, int64_t *value)
{
    int exact;
    *value = lua_tointegerx(L, index, &exact);
    return exact && *value >= least && *value <= most;
}

static const int64_t integer_least[DTYPE_COUNT] = {
    [DTYPE_I64] = INT64_MIN, [DTYPE_I32] = INT32_MIN, [DTYPE_U8] = 0, [DTYPE_BOOL] = 0};
static const int64_t integer_most[DTYPE_COUNT] = {
    [DTYPE_I64] = INT64_MAX, [DTYPE_I32] = INT32_MAX, [DTYPE_U8] = UINT8_MAX, [DTYPE_BOOL] = 1};

bool scalar_fits(lua_State *L, int index, enum dtype dtype, union scalar *scalar)
{
    int type = lua_type(L, index);
    if (dtype == DTYPE_BOOL && type == LUA_TBOOLEAN) {
        scalar->u8 = (uint8_t)lua_toboolean(L, index);
        return true;
    }
    if (type != LUA_TNUMBER)
        return false;
    if (dtype == DTYPE_F64) {
        scalar->f64 = lua_tonumber(L, index);
        return true;
    }
    if (dtype == DTYPE_F32) {
        scalar->f32 = (float)lua_tonumber(L, index);
        return true;
    }
    int64_t value;
    if (!integer_in(L, index, integer_least[dtype], integer_most[dtype], &value))
        return false;
    if (dtype == DTYPE_I64)
        scalar->i64 = value;
    else if (dtype == DTYPE_I32)
        scalar->i32 = (int32_t)value;
    else
        scalar->u8 = (uint8_t)value;
    return true;
}

union scalar scalar_argument(lua_State *L, int index, const char *where, enum dtype dtype)
{
    union scalar scalar;
    if (scalar_fits(L, index, dtype, &scalar))
        return scalar;
    if (lua_type(L, index) != LUA_TNUMBER)
        raise_error(L, where, "the value is %s; expected %s for %s", type_text(L, index),
                    dtype == DTYPE_BOOL ? "a boolean" : "a number", dtype_names[dtype]);
    if (dtype == DTYPE_BOOL)
        raise_error(L, where, "the value is %s; expected a boolean for bool",
                    luaL_tolstring(L, index, NULL));
    raise_error(L, where,
                "the value is %s, which is no value for %s; expected an integer from %lld to "
                "%lld",
                luaL_tolstring(L, index, NULL), dtype_names[dtype], (long long)integer_least[dtype],
                (long long)integer_most[dtype]);
    return scalar;
}

union scalar scalar_of(enum dtype dtype, int value)
{
    switch (dtype) {
    case DTYPE_F64:
        return (union scalar){.f64 = value};
    case DTYPE_F32:
        return (union scalar){.f32 = (float)value};
    case DTYPE_I64:
        return (union scalar){.i64 = value};
    case DTYPE_I32:
        return (union scalar){.i32 = value};
    default:
        return (union scalar){.u8 = (uint8_t)value};
    }
}

double scalar_to_double(enum dtype dtype, const void *element)
{
    switch (dtype) {
    case DTYPE_F64:
        return *(const double *)element;
    case DTYPE_F32:
        return (double)*(const float *)element;
    case DTYPE_I64:
        return (double)*(const int64_t *)element;
    case DTYPE_I32:
        return *(const int32_t *)element;
    default:
        return *(const uint8_t *)element;
    }
}

void scalar_push(lua_State *L, enum dtype dtype, const void *element)
{
    switch (dtype) {
    case DTYPE_F64:
        lua_pushnumber(L, *(const double *)element);
        break;
    case DTYPE_F32:
        lua_pushnumber(L, (double)*(const float *)element);
        break;
    case DTYPE_I64:
        lua_pushinteger(L, *(const int64_t *)element);
        break;
    case DTYPE_I32:
        lua_pushinteger(L, *(const int32_t *)element);
        break;
    case DTYPE_U8:
        lua_pushinteger(L, *(const uint8_t *)element);
        break;
    default:
        lua_pushboolean(L, *(const uint8_t *)element);
    }
}

const char *shape_text(int dim, const int64_t *size)
{
    static _Thread_local char texts[2][TENSOR_MAX_DIM * 21 + 3];
    static _Thread_local int used;
    char *text = texts[used ^= 1];
    size_t room = sizeof texts[0];
    int length = snprintf(text, room, "[");
    for (int d = 0; d < dim; d++)
        length += snprintf(text + length, room - (size_t)length, "%s%lld", d ? ", " : "",
                           (long long)size[d]);
    snprintf(text + length, room - (size_t)length, "]");
    return text;
}

bool same_shape(const struct tensor *a, const struct tensor *b)
{
    return a->dim == b->dim &&
           (a->dim == 0 || memcmp(a->size, b->size, (size_t)a->dim * sizeof *a->size) == 0);
}

void check_same_shape(lua_State *L, const struct tensor *a, const struct tensor *b,
                      const char *where)
{
    if (!same_shape(a, b))
        raise_error(L, where, "a tensor of %s and one of %s; expected the same shape",
                    shape_text(a->dim, a->size), shape_text(b->dim, b->size));
}

void check_same_dtype(lua_State *L, const struct tensor *a, const struct tensor *b,
                      const char *where)
{
    if (a->dtype != b->dtype)
        raise_error(L, where, "a tensor of %s and one of %s; expected the same dtype: use to()",
                    dtype_names[a->dtype], dtype_names[b->dtype]);
}

struct tensor *check_out(lua_State *L, int index, enum dtype dtype, int dim, const int64_t *size,
                         const char *where)
{
    struct tensor *out = tensor_argument(L, index, where);
    bool same = out->dim == dim;
    for (int d = 0; same && d < dim; d++)
        same = out->size[d] == size[d];
    if (!same)
        raise_error(L, where, "the tensor for the result has the shape %s; expected %s",
                    shape_text(out->dim, out->size), shape_text(dim, size));
    if (out->dtype != dtype)
        raise_error(L, where, "the tensor for the result is %s; expected %s",
                    dtype_names[out->dtype], dtype_names[dtype]);
    check_target(L, out, where);
    return out;
}
