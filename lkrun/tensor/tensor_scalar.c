/* Values of single elements: between C and Lua, and of every dtype. */
#include "tensor/tensor_scalar.h"

#include <lauxlib.h>

#include "base/util.h"
#include "base/value_text.h"

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
                "the value is %s, which %s cannot hold; expected an integer from %lld to %lld",
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
