#include "rows/csv_encode.h"

#include <stdio.h>
#include <string.h>
#include <lauxlib.h>

#include "base/shortest.h"
#include "base/util.h"
#include "base/value_text.h"
#include "value/path.h"

#define ENCODER_CLASS "lkrun.rows.csv_encoder"

/* Upvalues of encode. */
enum {
    ENCODER = lua_upvalueindex(1),
    COLUMNS = lua_upvalueindex(2), /* their names in order; nil: none yet */
    HEADER = lua_upvalueindex(3),  /* their names as a record */
};

struct csv_encoder {
    struct buffer out;
    char delimiter;
    bool columns_given;  /* by the caller; else the columns are those of the last result */
    bool columns_found;  /* the columns are those of all rows of this result: a row may lack some */
    lua_Integer columns; /* the number of columns */
};

static char *reserve(lua_State *L, struct csv_encoder *e, size_t bytes)
{
    if (!buffer_reserve(&e->out, bytes + 1)) /* so that `data` is set for no bytes too */
        luaL_error(L, "not enough memory");
    return e->out.data + e->out.length;
}

static void put(lua_State *L, struct csv_encoder *e, const char *bytes, size_t length)
{
    if (length)
        memcpy(reserve(L, e, length), bytes, length);
    e->out.length += length;
}

static void put_text(lua_State *L, struct csv_encoder *e, const char *bytes, size_t length)
{
    bool quoted = false;
    for (size_t i = 0; i < length && !quoted; i++)
        quoted =
            bytes[i] == e->delimiter || bytes[i] == '"' || bytes[i] == '\n' || bytes[i] == '\r';
    if (!quoted) {
        put(L, e, bytes, length);
        return;
    }
    char *to = reserve(L, e, 2 * length + 2), *start = to;
    *to++ = '"';
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] == '"')
            *to++ = '"';
        *to++ = bytes[i];
    }
    *to++ = '"';
    e->out.length += (size_t)(to - start);
}

static void put_float(lua_State *L, struct csv_encoder *e, double number)
{
    e->out.length += shortest_f64(number, reserve(L, e, SHORTEST_SIZE));
}

static void put_integer(lua_State *L, struct csv_encoder *e, lua_Integer number)
{
    e->out.length += (size_t)snprintf(reserve(L, e, 24), 24, "%lld", (long long)number);
}

/* Pops a value and writes it as the cell of this column. */
static void put_cell(lua_State *L, struct csv_encoder *e, lua_Integer column)
{
    size_t length;
    const char *text;
    switch (lua_type(L, -1)) {
    case LUA_TNIL:
        break;
    case LUA_TSTRING:
        text = lua_tolstring(L, -1, &length);
        put_text(L, e, text, length);
        break;
    case LUA_TNUMBER:
        if (lua_isinteger(L, -1))
            put_integer(L, e, lua_tointeger(L, -1));
        else
            put_float(L, e, lua_tonumber(L, -1));
        break;
    case LUA_TBOOLEAN:
        put(L, e, lua_toboolean(L, -1) ? "true" : "false", lua_toboolean(L, -1) ? 4 : 5);
        break;
    case LUA_TLIGHTUSERDATA:
        if (!lua_touserdata(L, -1))
            break;
        /* fallthrough */
    default:
        text = type_text(L, -1);
        lua_rawgeti(L, COLUMNS, column);
        raise_plain(L, "column %.200s is %s; expected a string, a number, a boolean or nil",
                    luaL_tolstring(L, -1, NULL), text);
    }
    lua_pop(L, 1);
}

static void end_row(lua_State *L, struct csv_encoder *e, size_t start)
{
    if (e->out.length == start) /* a single empty cell: readers would skip an empty line */
        put(L, e, "\"\"", 2);
    put(L, e, "\n", 1);
}

/* Pops a sequence of names, and sets COLUMNS to it and HEADER to their record. */
static void set_columns(lua_State *L, struct csv_encoder *e)
{
    size_t start = e->out.length;
    lua_copy(L, -1, COLUMNS);
    e->columns = (lua_Integer)lua_rawlen(L, -1);
    for (lua_Integer i = 1; i <= e->columns; i++) {
        if (i > 1)
            put(L, e, &e->delimiter, 1);
        lua_rawgeti(L, -1, i);
        put_cell(L, e, i);
    }
    end_row(L, e, start);
    lua_pushlstring(L, e->out.data + start, e->out.length - start);
    lua_replace(L, HEADER);
    e->out.length = start;
    lua_pop(L, 1);
}

/* Raises for the key on top, which is no column. */
static int raise_key(lua_State *L)
{
    if (lua_type(L, -1) != LUA_TSTRING)
        return raise_plain(L,
                           "a row has %s as a key; expected a table of columns by name, or their "
                           "values in order where `columns` names them",
                           push_brief(L, -1));
    return raise_plain(L, "a row has the key '%.200s'; expected those that `columns` names",
                       lua_tostring(L, -1));
}

/* Whether all keys of the row are columns, of which the row has `found`; if not, pushes a key that
 * is no column. */
static bool has_only_columns(lua_State *L, struct csv_encoder *e, int row, lua_Integer found)
{
    lua_Integer keys = 0;
    for (lua_pushnil(L); lua_next(L, row); lua_pop(L, 1))
        keys++;
    if (keys == found)
        return true;
    for (lua_pushnil(L); lua_next(L, row);) {
        lua_pop(L, 1);
        bool known = false;
        for (lua_Integer i = 1; i <= e->columns && !known; i++) {
            lua_rawgeti(L, COLUMNS, i);
            known = lua_rawequal(L, -1, -2);
            lua_pop(L, 1);
        }
        if (!known)
            return false;
    }
    return true;
}

/* Writes the cells of a row by name. False where the caller gave no columns and those of the last
 * result are not exactly the row's keys. */
static bool put_named(lua_State *L, struct csv_encoder *e, int row)
{
    size_t start = e->out.length;
    lua_Integer found = 0;
    for (lua_Integer i = 1; i <= e->columns; i++) {
        if (i > 1)
            put(L, e, &e->delimiter, 1);
        lua_rawgeti(L, COLUMNS, i);
        found += lua_rawget(L, row) != LUA_TNIL;
        put_cell(L, e, i);
    }
    end_row(L, e, start);
    if (!e->columns_given && !e->columns_found && found < e->columns)
        return false;
    if (has_only_columns(L, e, row, found))
        return true;
    if (e->columns_given || lua_type(L, -1) != LUA_TSTRING)
        raise_key(L);
    lua_pop(L, 1);
    return false;
}

/* Writes the cells of a row in order. */
static void put_listed(lua_State *L, struct csv_encoder *e, int row)
{
    size_t start = e->out.length;
    if (!e->columns_given)
        raise_plain(L, "a row has values without names; name them in `columns`");
    lua_Integer length = (lua_Integer)lua_rawlen(L, row);
    if (length > e->columns)
        raise_plain(L, "a row has %lld values; expected %lld, as many as `columns` has names",
                    (long long)length, (long long)e->columns);
    for (lua_Integer i = 1; i <= e->columns; i++) {
        if (i > 1)
            put(L, e, &e->delimiter, 1);
        lua_rawgeti(L, row, i);
        put_cell(L, e, i);
    }
    end_row(L, e, start);
}

static bool put_row(lua_State *L, struct csv_encoder *e, int row)
{
    if (!lua_istable(L, row))
        raise_plain(L, "%s is not a row; expected a table", type_text(L, row));
    int first = lua_rawgeti(L, row, 1);
    lua_pop(L, 1);
    if (first != LUA_TNIL) {
        put_listed(L, e, row);
        return true;
    }
    return put_named(L, e, row);
}

/* Writes all rows of the result at index 1: one, or a sequence. False where its columns have to be
 * found first. */
static bool put_rows(lua_State *L, struct csv_encoder *e, bool sequence)
{
    if (!sequence)
        return put_row(L, e, 1);
    lua_Integer count = (lua_Integer)lua_rawlen(L, 1);
    for (lua_Integer i = 1; i <= count; i++) {
        lua_rawgeti(L, 1, i);
        if (!put_row(L, e, lua_gettop(L)))
            return false;
        lua_settop(L, 1);
    }
    return true;
}

/* Pushes the set of the keys of all rows of the result at index 1. */
static void push_keys(lua_State *L, bool sequence)
{
    lua_newtable(L);
    int keys = lua_gettop(L);
    lua_Integer count = sequence ? (lua_Integer)lua_rawlen(L, 1) : 1;
    for (lua_Integer i = 1; i <= count; i++) {
        if (sequence)
            lua_rawgeti(L, 1, i);
        else
            lua_pushvalue(L, 1);
        for (lua_pushnil(L); lua_istable(L, keys + 1) && lua_next(L, keys + 1); lua_pop(L, 1)) {
            lua_pushvalue(L, -2);
            lua_pushboolean(L, true);
            lua_rawset(L, keys);
        }
        lua_settop(L, keys);
    }
}

/* Sets the columns, where the caller gave none, to the keys of the result, in the order of their
 * bytes. */
static void find_columns(lua_State *L, struct csv_encoder *e, bool sequence)
{
    push_keys(L, sequence);
    int keys = lua_gettop(L);
    lua_getglobal(L, "table");
    lua_getfield(L, -1, "sort");
    lua_newtable(L);
    lua_Integer count = 0;
    for (lua_pushnil(L); lua_next(L, keys);) {
        lua_pop(L, 1);
        if (lua_type(L, -1) != LUA_TSTRING)
            raise_key(L);
        lua_pushvalue(L, -1);
        lua_rawseti(L, -3, ++count);
    }
    lua_pushvalue(L, -2);
    lua_pushvalue(L, -2);
    lua_call(L, 1, 0);
    e->out.length = 0;
    set_columns(L, e);
    lua_settop(L, 1);
}

/* Finds the columns of the result and writes its rows. A row that lacks one of them has an empty
 * cell there. */
static void put_found(lua_State *L, struct csv_encoder *e, bool sequence)
{
    find_columns(L, e, sequence);
    e->columns_found = true;
    put_rows(L, e, sequence);
}

/* encode(result) → text, header; see csv_encoder in csv_encode.h */
static int encode(lua_State *L)
{
    struct csv_encoder *e = lua_touserdata(L, ENCODER);
    e->out.length = 0;
    e->columns_found = false;
    lua_settop(L, 1);
    if (lua_isnil(L, 1) || (lua_islightuserdata(L, 1) && !lua_touserdata(L, 1)))
        return 0;
    if (!lua_istable(L, 1)) { /* a single cell */
        lua_createtable(L, 1, 0);
        lua_insert(L, 1);
        lua_rawseti(L, 1, 1);
    }
    lua_pushnil(L);
    if (!lua_next(L, 1))
        return 0; /* an empty sequence */
    lua_settop(L, 1);
    bool sequence = lua_rawgeti(L, 1, 1) == LUA_TTABLE;
    lua_settop(L, 1);
    if (!put_rows(L, e, sequence)) {
        lua_settop(L, 1);
        put_found(L, e, sequence);
    }
    lua_pushlstring(L, e->out.data, e->out.length);
    if (e->columns_given)
        return 1;
    lua_pushvalue(L, HEADER);
    return 2;
}

int csv_encoder(lua_State *L)
{
    const char *delimiter = luaL_checkstring(L, 1);
    lua_settop(L, 2);
    struct csv_encoder *e = lua_newuserdatauv(L, sizeof *e, 0);
    bool given = lua_istable(L, 2);
    *e = (struct csv_encoder){.delimiter = *delimiter,
                              .columns_given = given,
                              .columns = given ? (lua_Integer)lua_rawlen(L, 2) : 0};
    luaL_setmetatable(L, ENCODER_CLASS);
    lua_pushvalue(L, 2);
    lua_pushnil(L);
    lua_pushcclosure(L, encode, 3);
    return 1;
}

static int encoder_free(lua_State *L)
{
    struct csv_encoder *e = luaL_checkudata(L, 1, ENCODER_CLASS);
    buffer_free(&e->out);
    return 0;
}

void csv_encode_open(lua_State *L)
{
    static const luaL_Reg methods[] = {{"__gc", encoder_free}, {NULL, NULL}};
    register_class(L, ENCODER_CLASS, methods);
}
