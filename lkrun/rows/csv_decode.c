#include "rows/csv_decode.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <lauxlib.h>

#include "rows/record.h"

enum cell_type { CELL_STRING, CELL_I64, CELL_F64, CELL_BOOL };
static const char *const type_names[] = {"string", "i64", "f64", "bool", NULL};

/* The first upvalue of decode; the second one is the table of names, or nil. */
struct csv_decoder {
    char delimiter;
    lua_Integer columns;  /* how many names and types there are; 0: none were given */
    unsigned char type[]; /* [columns], each an enum cell_type */
};

static bool push_i64(lua_State *L, const char *text, size_t length)
{
    bool negative = length > 0 && *text == '-';
    size_t at = negative || (length > 0 && *text == '+');
    int64_t value = 0;
    if (at == length)
        return false;
    for (; at < length; at++) {
        int digit = text[at] - '0';
        if (digit < 0 || digit > 9 || __builtin_mul_overflow(value, 10, &value) ||
            (negative ? __builtin_sub_overflow(value, digit, &value)
                      : __builtin_add_overflow(value, digit, &value)))
            return false;
    }
    lua_pushinteger(L, value);
    return true;
}

static bool push_f64(lua_State *L, const char *text, size_t length)
{
    char copy[400], *end;
    /* strtod would skip white space in front. */
    if (length == 0 || length >= sizeof copy || strchr(" \t\n\v\f\r", *text))
        return false;
    memcpy(copy, text, length);
    copy[length] = '\0';
    double value = strtod(copy, &end);
    if (end != copy + length)
        return false;
    lua_pushnumber(L, value);
    return true;
}

static bool push_bool(lua_State *L, const char *text, size_t length)
{
    static const char *const words[] = {"false", "true", "False", "True", "0", "1"};
    for (int i = 0; i < 6; i++)
        if (strlen(words[i]) == length && memcmp(words[i], text, length) == 0) {
            lua_pushboolean(L, i & 1); /* every second word means true */
            return true;
        }
    return false;
}

/* Pushes the text of a field, its doubled quotes made single. */
static void push_text(lua_State *L, const struct field *field)
{
    if (!field->doubled) {
        lua_pushlstring(L, field->bytes, field->length);
        return;
    }
    luaL_Buffer buffer;
    char *to = luaL_buffinitsize(L, &buffer, field->length);
    size_t length = 0;
    for (size_t i = 0; i < field->length; i++) {
        to[length++] = field->bytes[i];
        i += field->bytes[i] == '"';
    }
    luaL_pushresultsize(&buffer, length);
}

/* Pushes the field's value, nil for an empty field that is no string. False, with nothing pushed,
 * where the field is no value of this type. */
static bool push_cell(lua_State *L, const struct field *field, enum cell_type type)
{
    if (type == CELL_STRING) {
        push_text(L, field);
        return true;
    }
    if (field->length == 0) {
        lua_pushnil(L);
        return true;
    }
    switch (type) {
    case CELL_I64:
        return push_i64(L, field->bytes, field->length);
    case CELL_F64:
        return push_f64(L, field->bytes, field->length);
    default:
        return push_bool(L, field->bytes, field->length);
    }
}

static int refuse(lua_State *L, lua_Integer column, const struct field *field, enum cell_type type)
{
    int shown = field->length > 60 ? 60 : (int)field->length;
    lua_pushnil(L);
    lua_rawgeti(L, lua_upvalueindex(2), column);
    lua_pushlstring(L, field->bytes, (size_t)shown);
    lua_pushfstring(L, "column %s is '%s'; expected %s", lua_tostring(L, -2), lua_tostring(L, -1),
                    type_names[type]);
    lua_replace(L, -3);
    lua_pop(L, 1);
    return 2;
}

static int decode(lua_State *L)
{
    const struct csv_decoder *decoder = lua_touserdata(L, lua_upvalueindex(1));
    size_t length, at = 0;
    const char *record = luaL_checklstring(L, 1, &length);
    struct field field;
    bool named = decoder->columns > 0;
    lua_createtable(L, named ? 0 : 4, named ? (int)decoder->columns : 0);
    for (lua_Integer column = 1; record_field(record, length, decoder->delimiter, &at, &field);
         column++) {
        if (!named) {
            push_text(L, &field);
            lua_rawseti(L, 2, column);
            continue;
        }
        if (column > decoder->columns) {
            lua_pushnil(L);
            lua_pushfstring(L, "it has more fields; expected %I, as in the header",
                            (LUAI_UACINT)decoder->columns);
            return 2;
        }
        enum cell_type type = decoder->type[column - 1];
        lua_rawgeti(L, lua_upvalueindex(2), column);
        if (!push_cell(L, &field, type))
            return refuse(L, column, &field, type);
        lua_rawset(L, 2);
    }
    return 1;
}

int csv_decoder(lua_State *L)
{
    const char *delimiter = luaL_checkstring(L, 1);
    lua_settop(L, 3);
    lua_Integer count = lua_istable(L, 2) ? luaL_len(L, 2) : 0;
    struct csv_decoder *decoder = lua_newuserdatauv(L, sizeof *decoder + (size_t)count, 0);
    decoder->delimiter = *delimiter;
    decoder->columns = count;
    for (lua_Integer i = 1; i <= count; i++) {
        if (lua_istable(L, 3))
            lua_geti(L, 3, i);
        else
            lua_pushnil(L);
        decoder->type[i - 1] = (unsigned char)luaL_checkoption(L, -1, "string", type_names);
        lua_pop(L, 1);
    }
    lua_pushvalue(L, 2);
    lua_pushcclosure(L, decode, 2);
    return 1;
}
