/* Arguments of tensor functions, checked. */
#include "tensor/tensor_argument.h"

#include <string.h>
#include <lauxlib.h>

#include "base/nearest.h"
#include "base/util.h"
#include "base/value_text.h"

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

/* Raises for the option whose key is at this index. */
static void refuse_option(lua_State *L, int key, const char *const *names, const char *where)
{
    const char *name = lua_type(L, key) == LUA_TSTRING ? lua_tostring(L, key) : NULL;
    luaL_Buffer list;
    luaL_buffinit(L, &list);
    for (int i = 0; names[i]; i++) {
        if (i > 0)
            luaL_addstring(&list, ", ");
        luaL_addstring(&list, names[i]);
    }
    luaL_pushresult(&list);
    const char *all = lua_tostring(L, -1);
    if (!name)
        raise_error(L, where, "unknown option [%.40s]; there are %s", push_brief(L, key), all);
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
            refuse_option(L, lua_absindex(L, -2), names, where);
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
        raise_error(L, where, "a size is %lld; expected 0 or more", (long long)size);
    return size;
}

static void check_dimensions(lua_State *L, size_t dim, const char *where)
{
    if (dim > TENSOR_MAX_DIM)
        raise_error(L, where, "the shape has %zu dimensions; expected at most %d", dim,
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
        raise_error(L, where, "there is no dimension %lld; expected from 1 to %d", (long long)dim,
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
    raise_error(L, where, "index %lld in dimension %d; expected from 1 to %lld",
                (long long)position, dim + 1, (long long)size);
    return 0;
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

void check_target(lua_State *L, const struct tensor *tensor, const char *where)
{
    tensor_check_writable(L, tensor, where);
    for (int d = 0; d < tensor->dim; d++)
        if (tensor->stride[d] == 0 && tensor->size[d] > 1)
            raise_error(L, where,
                        "the tensor was expanded, so elements of it share their memory; "
                        "write to tensor:clone()");
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

struct tensor *out_argument(lua_State *L, int index, enum dtype dtype, int dim, const int64_t *size,
                            const char *where)
{
    if (!lua_isnil(L, index))
        return check_out(L, index, dtype, dim, size, where);
    struct tensor *out = tensor_new(L, dtype, dim, size, false);
    lua_replace(L, index);
    return out;
}
