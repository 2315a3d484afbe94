/* Single elements, sizes, and Lua tables: t:get, t:set, t[i], t:size, t:totable. */
#include "tensor/tensor_element.h"

#include <stdio.h>
#include <string.h>
#include <lauxlib.h>

#include "base/nearest.h"
#include "base/util.h"
#include "base/value_text.h"
#include "tensor/tensor_argument.h"
#include "tensor/tensor_copy.h"
#include "tensor/tensor_scalar.h"

static int64_t element_offset(lua_State *L, const struct tensor *tensor, const char *where)
{
    int64_t offset = 0;
    for (int d = 0; d < tensor->dim; d++)
        offset += position_argument(L, d + 2, where, d, tensor->size[d]) * tensor->stride[d];
    return offset;
}

static void check_index_count(lua_State *L, const struct tensor *tensor, int given,
                              const char *where)
{
    if (given != tensor->dim)
        raise_error(L, where, "%d indices; expected %d for a tensor of %s", given, tensor->dim,
                    shape_text(tensor->dim, tensor->size));
}

static int get(lua_State *L)
{
    const struct tensor *tensor = tensor_argument(L, 1, "tensor:get");
    check_index_count(L, tensor, lua_gettop(L) - 1, "tensor:get");
    int64_t offset = element_offset(L, tensor, "tensor:get");
    scalar_push(L, tensor->dtype, element_at(tensor, offset));
    return 1;
}

static void store(enum dtype dtype, void *element, union scalar scalar)
{
    switch (dtype_sizes[dtype]) {
    case 8:
        *(int64_t *)element = scalar.i64;
        break;
    case 4:
        *(int32_t *)element = scalar.i32;
        break;
    default:
        *(uint8_t *)element = scalar.u8;
    }
}

static int set(lua_State *L)
{
    const char *where = "tensor:set";
    const struct tensor *tensor = tensor_argument(L, 1, where);
    tensor_check_writable(L, tensor, where);
    check_index_count(L, tensor, lua_gettop(L) - 2, where);
    int64_t offset = element_offset(L, tensor, where);
    union scalar scalar = scalar_argument(L, tensor->dim + 2, where, tensor->dtype);
    store(tensor->dtype, element_at(tensor, offset), scalar);
    return 0;
}

static int item(lua_State *L)
{
    const struct tensor *tensor = tensor_argument(L, 1, "tensor:item");
    if (tensor->count != 1)
        raise_error(L, "tensor:item", "a tensor of %s; expected one with a single element",
                    shape_text(tensor->dim, tensor->size));
    scalar_push(L, tensor->dtype, tensor_data(tensor));
    return 1;
}

static void check_has_dimension(lua_State *L, const struct tensor *tensor, const char *where)
{
    if (tensor->dim == 0)
        raise_error(L, where, "the tensor is a scalar, which has no index; read it by item()");
}

static void push_row(lua_State *L, const struct tensor *tensor, int64_t position)
{
    tensor_view(L, tensor->storage, tensor->dtype, tensor->offset + position * tensor->stride[0],
                tensor->dim - 1, tensor->size + 1, tensor->stride + 1);
}

/* t[i], t.dtype and t.method. The upvalue is the table of methods. */
static int index_value(lua_State *L)
{
    if (lua_type(L, 2) != LUA_TNUMBER) {
        lua_pushvalue(L, 2);
        if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL)
            return 1;
        const struct tensor *tensor = tensor_argument(L, 1, "tensor");
        const char *name = lua_tostring(L, 2);
        if (name && name[0] == 'd' && strcmp(name, "dtype") == 0) {
            lua_pushstring(L, dtype_names[tensor->dtype]);
            return 1;
        }
        raise_error(L, "tensor",
                    "there is no method or field %.40s%s; "
                    "the manual's page on tensors lists them",
                    push_brief(L, 2), name ? push_nearest_key(L, name, lua_upvalueindex(1)) : "");
    }
    const struct tensor *tensor = tensor_argument(L, 1, "tensor[i]");
    check_has_dimension(L, tensor, "tensor[i]");
    int64_t position = position_argument(L, 2, "tensor[i]", 0, tensor->size[0]);
    if (tensor->dim == 1)
        scalar_push(L, tensor->dtype, element_at(tensor, position * tensor->stride[0]));
    else
        push_row(L, tensor, position);
    return 1;
}

/* t[i] = v: sets an element of a vector, or a row of a tensor with more dimensions: to a tensor of
 * the shape of a row, or all of it to one number. */
static int assign_value(lua_State *L)
{
    const char *where = "tensor[i] = v";
    const struct tensor *tensor = tensor_argument(L, 1, where);
    if (lua_type(L, 2) != LUA_TNUMBER)
        raise_error(L, where, "the index is %s; tensors have no fields to assign", type_text(L, 2));
    tensor_check_writable(L, tensor, where);
    check_has_dimension(L, tensor, where);
    int64_t position = position_argument(L, 2, where, 0, tensor->size[0]);
    if (tensor->dim == 1) {
        union scalar scalar = scalar_argument(L, 3, where, tensor->dtype);
        store(tensor->dtype, element_at(tensor, position * tensor->stride[0]), scalar);
        return 0;
    }
    push_row(L, tensor, position);
    const struct tensor *row = tensor_argument(L, -1, where);
    const struct tensor *source = tensor_test(L, 3);
    if (source) {
        check_same_shape(L, row, source, where);
        tensor_assign(L, row, source, where);
    } else {
        tensor_fill(row, scalar_argument(L, 3, where, row->dtype));
    }
    return 0;
}

static int size(lua_State *L)
{
    const struct tensor *tensor = tensor_argument(L, 1, "tensor:size");
    if (!lua_isnoneornil(L, 2)) {
        lua_pushinteger(L, tensor->size[dim_argument(L, 2, "tensor:size", tensor)]);
        return 1;
    }
    lua_createtable(L, tensor->dim, 0);
    for (int d = 0; d < tensor->dim; d++) {
        lua_pushinteger(L, tensor->size[d]);
        lua_rawseti(L, -2, d + 1);
    }
    return 1;
}

static int dim(lua_State *L)
{
    lua_pushinteger(L, tensor_argument(L, 1, "tensor:dim")->dim);
    return 1;
}

static int numel(lua_State *L)
{
    lua_pushinteger(L, tensor_argument(L, 1, "tensor:numel")->count);
    return 1;
}

static int length(lua_State *L)
{
    const struct tensor *tensor = tensor_argument(L, 1, "#tensor");
    check_has_dimension(L, tensor, "#tensor");
    lua_pushinteger(L, tensor->size[0]);
    return 1;
}

static void push_nested(lua_State *L, const struct tensor *tensor, int d, const char *at)
{
    if (d == tensor->dim) {
        scalar_push(L, tensor->dtype, at);
        return;
    }
    luaL_checkstack(L, 2, "tensor:totable");
    int64_t step = tensor->stride[d] * (int64_t)dtype_sizes[tensor->dtype];
    int narr = tensor->size[d] < INT32_MAX ? (int)tensor->size[d] : INT32_MAX;
    lua_createtable(L, narr, 0);
    for (int64_t i = 0; i < tensor->size[d]; i++) {
        push_nested(L, tensor, d + 1, at + i * step);
        lua_rawseti(L, -2, i + 1);
    }
}

static int totable(lua_State *L)
{
    const struct tensor *tensor = tensor_argument(L, 1, "tensor:totable");
    push_nested(L, tensor, 0, tensor_data(tensor));
    return 1;
}

/* A nested table that becomes a tensor. Its first elements at each depth give the shape, and all
 * others must agree with them. */
struct nest {
    const char *where;
    struct tensor *tensor;
    int dim;
    int64_t size[TENSOR_MAX_DIM];
    int64_t index[TENSOR_MAX_DIM]; /* of the element being read, from 0 */
};

/* Where the element being read is, as text for messages: "[2][3]", in static storage. */
static const char *place(const struct nest *nest, int depth)
{
    static _Thread_local char text[TENSOR_MAX_DIM * 22 + 8];
    int length_so_far = 0;
    text[0] = '\0';
    for (int d = 0; d < depth; d++)
        length_so_far += snprintf(text + length_so_far, sizeof text - (size_t)length_so_far,
                                  "[%lld]", (long long)nest->index[d] + 1);
    return depth ? text : "the table";
}

/* The length of the table on top of the stack: its field `n` if it has one, as the tables of
 * table.pack and collect do, which may have holes. */
static int64_t table_length(lua_State *L)
{
    int64_t length = (int64_t)lua_rawlen(L, -1);
    lua_pushliteral(L, "n");
    if (lua_rawget(L, -2) == LUA_TNUMBER && lua_isinteger(L, -1) && lua_tointeger(L, -1) >= 0)
        length = lua_tointeger(L, -1);
    lua_pop(L, 1);
    return length;
}

static void find_shape(lua_State *L, struct nest *nest)
{
    int top = lua_gettop(L);
    while (lua_istable(L, -1)) {
        if (nest->dim == TENSOR_MAX_DIM)
            raise_error(L, nest->where,
                        "the table has more than %d levels; expected at most as many",
                        TENSOR_MAX_DIM);
        nest->index[nest->dim] = 0;
        luaL_checkstack(L, 4, nest->where);
        nest->size[nest->dim++] = table_length(L);
        lua_rawgeti(L, -1, 1);
    }
    lua_settop(L, top);
}

static void fill_from(lua_State *L, struct nest *nest, int depth, char *at)
{
    if (depth == nest->dim) {
        if (lua_istable(L, -1))
            raise_error(L, nest->where, "%s is a table; expected a number, as at the start",
                        place(nest, depth));
        enum dtype dtype = nest->tensor->dtype;
        union scalar scalar;
        if (!scalar_fits(L, -1, dtype, &scalar)) {
            raise_error(L, nest->where, "%s is %.60s, which %s cannot hold", place(nest, depth),
                        push_brief(L, -1), dtype_names[dtype]);
        }
        store(dtype, at, scalar);
        return;
    }
    if (!lua_istable(L, -1))
        raise_error(L, nest->where, "%s is %s; expected a table, as at the start",
                    place(nest, depth), type_text(L, -1));
    int64_t found = table_length(L);
    if (found != nest->size[depth])
        raise_error(L, nest->where,
                    "%s has %lld elements; expected %lld, as the first at its depth",
                    place(nest, depth), (long long)found, (long long)nest->size[depth]);
    int64_t step = nest->tensor->stride[depth] * (int64_t)dtype_sizes[nest->tensor->dtype];
    for (int64_t i = 0; i < found; i++) {
        nest->index[depth] = i;
        lua_rawgeti(L, -1, i + 1);
        fill_from(L, nest, depth + 1, at + i * step);
        lua_pop(L, 1);
    }
}

struct tensor *tensor_from_table(lua_State *L, int index_of_table, enum dtype dtype,
                                 const char *where)
{
    struct nest nest = {.where = where};
    lua_pushvalue(L, index_of_table);
    find_shape(L, &nest);
    nest.tensor = tensor_new(L, dtype, nest.dim, nest.size, false);
    lua_insert(L, -2);
    fill_from(L, &nest, 0, tensor_data(nest.tensor));
    lua_pop(L, 1);
    return nest.tensor;
}

const luaL_Reg tensor_element_methods[] = {
    {"get", get},
    {"set", set},
    {"item", item},
    {"size", size},
    {"dim", dim},
    {"numel", numel},
    {"totable", totable},
    {"__index", index_value},
    {"__newindex", assign_value},
    {"__len", length},
    {NULL, NULL},
};
