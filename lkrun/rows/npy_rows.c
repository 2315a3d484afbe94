#include "rows/npy_rows.h"

#include <stdio.h>
#include <string.h>
#include <lauxlib.h>

#include "base/util.h"
#include "base/value_text.h"
#include "files/npy_header.h"
#include "tensor/tensor.h"
#include "tensor/tensor_copy.h"
#include "tensor/tensor_element.h"

/* Writes dtype and shape of a row: "f64 3,4". */
static void describe(const struct tensor *row, char *text, size_t room)
{
    int length = snprintf(text, room, "%s ", dtype_names[row->dtype]);
    for (int d = 0; d < row->dim; d++)
        length += snprintf(text + length, room - (size_t)length, d ? ",%lld" : "%lld",
                           (long long)row->size[d]);
}

static bool has_only_integers(lua_State *L, int index)
{
    lua_Integer count = (lua_Integer)lua_rawlen(L, index);
    bool integers = true;
    for (lua_Integer i = 1; i <= count && integers; i++) {
        lua_rawgeti(L, index, i);
        integers = lua_isinteger(L, -1);
        lua_pop(L, 1);
    }
    return integers;
}

/* Replaces the row on top by a tensor. A number, or a sequence of numbers, becomes i64 where all
 * are integers, else f64. */
static const struct tensor *to_tensor(lua_State *L)
{
    if (!tensor_test(L, -1)) {
        int top = lua_gettop(L);
        enum dtype dtype = DTYPE_F64;
        if (lua_type(L, top) == LUA_TNUMBER ? lua_isinteger(L, top)
                                            : lua_istable(L, top) && has_only_integers(L, top))
            dtype = DTYPE_I64;
        if (lua_type(L, top) != LUA_TNUMBER && !lua_istable(L, top))
            raise_plain(L, "%s is not a row; expected a tensor, a number or a sequence of numbers",
                        type_text(L, top));
        tensor_from_table(L, top, dtype, "row");
        lua_replace(L, top);
    }
    return tensor_test(L, -1);
}

/* Pops a row and appends its bytes. `first` describes the first row, as all others must be; it is
 * "" before that one. */
static void put_row(lua_State *L, luaL_Buffer *out, char *first, size_t room)
{
    char text[TENSOR_MAX_DIM * 21 + 8];
    const struct tensor *row = to_tensor(L);
    if (row->count == 0)
        raise_plain(L, "a row has no elements; an empty sequence stands for no row");
    describe(row, text, sizeof text);
    if (!*first)
        snprintf(first, room, "%s", text);
    else if (strcmp(first, text) != 0)
        raise_plain(L, "a row is %s; expected %s, like the first one", text, first);
    lua_insert(L, 1); /* below the slot that the buffer may use */
    size_t bytes = (size_t)row->count * dtype_sizes[row->dtype];
    tensor_copy_to(row, luaL_prepbuffsize(out, bytes));
    luaL_addsize(out, bytes);
    lua_remove(L, 1);
}

static int encode(lua_State *L)
{
    char text[TENSOR_MAX_DIM * 21 + 8] = "";
    luaL_Buffer out;
    lua_settop(L, 1);
    if (lua_isnil(L, 1) || (lua_islightuserdata(L, 1) && !lua_touserdata(L, 1)))
        return 0;
    bool sequence = false;
    if (lua_istable(L, 1)) {
        int first = lua_rawgeti(L, 1, 1);
        if (first == LUA_TNIL)
            return lua_rawlen(L, 1) ? raise_plain(L, "a row begins with nil; expected a number")
                                    : 0;
        sequence = first != LUA_TNUMBER;
        lua_settop(L, 1);
    }
    lua_Integer count = sequence ? (lua_Integer)lua_rawlen(L, 1) : 1;
    luaL_buffinit(L, &out);
    for (lua_Integer i = 1; i <= count; i++) {
        if (sequence)
            lua_rawgeti(L, 1, i);
        else
            lua_pushvalue(L, 1);
        put_row(L, &out, text, sizeof text);
    }
    luaL_pushresult(&out);
    lua_pushstring(L, text);
    return 2;
}

int npy_encoder(lua_State *L)
{
    lua_pushcfunction(L, encode);
    return 1;
}

/* The inverse of describe: the header of a file that has `rows` rows like this. */
static bool parse(const char *text, int64_t rows, struct npy_header *header)
{
    struct stored *stored = &header->stored;
    *header = (struct npy_header){0};
    int dtype = 0;
    size_t length = strcspn(text, " ");
    while (dtype < DTYPE_COUNT &&
           (strlen(dtype_names[dtype]) != length || memcmp(dtype_names[dtype], text, length) != 0))
        dtype++;
    if (dtype == DTYPE_COUNT)
        return false;
    stored->dtype = (enum dtype)dtype;
    stored->dim = 1;
    stored->size[0] = rows;
    for (text += length; text[0] && text[1]; stored->dim++) { /* no sizes: rows are scalars */
        long long size;
        int taken;
        if (stored->dim == TENSOR_MAX_DIM || sscanf(text + 1, "%lld%n", &size, &taken) != 1)
            return false;
        stored->size[stored->dim] = size;
        text += 1 + taken;
    }
    return true;
}

int npy_header_text(lua_State *L)
{
    struct npy_header header;
    char text[NPY_HEADER_MOST];
    const char *row = luaL_checkstring(L, 1);
    if (!parse(row, INT64_MAX, &header))
        return raise_plain(L, "rows of %s cannot be rows of a .npy file", row);
    size_t room = npy_format(&header, 0, text);
    header.stored.size[0] = luaL_checkinteger(L, 2);
    size_t length = npy_format(&header, 0, text);
    /* Spaces in front of the line end make the header as long as the largest one, so the length of
     * the dictionary, at offset 8, changes too. */
    memset(text + length - 1, ' ', room - length);
    text[room - 1] = '\n';
    text[8] = (char)((room - 10) & 0xFF);
    text[9] = (char)((room - 10) >> 8);
    lua_pushlstring(L, text, room);
    return 1;
}
