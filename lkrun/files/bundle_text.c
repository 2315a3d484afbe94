#include "files/bundle_text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <lauxlib.h>

#include "base/value_text.h"
#include "value/path.h"

#define NAME_MOST 100 /* bytes of an array's name before it is made unique */

int bundle_raise_here(struct bundle_writer *w, const char *problem)
{
    char path[PATH_SIZE];
    path_write(w->L, "model", w->json.base + 3, 3, (size_t)w->json.depth, path);
    return raise_error(w->L, "lk.save", "%.100s: %s: %s", w->path, path, problem);
}

int bundle_raise_kind(struct bundle_writer *w)
{
    if (lua_istable(w->L, -1))
        return bundle_raise_here(w, "a table with a metatable cannot be saved");
    return bundle_raise_here(w, lua_pushfstring(w->L, "%s cannot be saved", type_text(w->L, -1)));
}

void bundle_put(struct bundle_writer *w, const char *text)
{
    json_put(&w->json, text, strlen(text));
}

static void put_hex(struct bundle_writer *w, const char *bytes, size_t length)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)bytes[i];
        json_put(&w->json, (char[]){digits[byte >> 4], digits[byte & 15]}, 2);
    }
}

static void put_string(struct bundle_writer *w, int index)
{
    size_t length;
    const char *bytes = lua_tolstring(w->L, index, &length);
    if (json_is_text(bytes, length)) {
        json_put_string(&w->json, bytes, length, "a string");
        return;
    }
    bundle_put(w, "{\"$bytes\":\"");
    put_hex(w, bytes, length);
    bundle_put(w, "\"}");
}

static void put_float(struct bundle_writer *w, double number)
{
    char text[60];
    uint64_t bits, usual;
    double nan = NAN;
    if (isfinite(number)) {
        json_put_float(&w->json, number);
        return;
    }
    memcpy(&bits, &number, sizeof bits);
    memcpy(&usual, &nan, sizeof usual);
    if (isnan(number) && bits != usual)
        snprintf(text, sizeof text, "{\"$float\":\"nan:%016llx\"}", (unsigned long long)bits);
    else
        snprintf(text, sizeof text, "{\"$float\":\"%s\"}",
                 isnan(number) ? "nan"
                 : number > 0  ? "inf"
                               : "-inf");
    bundle_put(w, text);
}

bool bundle_put_scalar(struct bundle_writer *w, int index)
{
    lua_State *L = w->L;
    switch (lua_type(L, index)) {
    case LUA_TBOOLEAN:
        bundle_put(w, lua_toboolean(L, index) ? "true" : "false");
        return true;
    case LUA_TNUMBER:
        if (lua_isinteger(L, index))
            json_put_integer(&w->json, lua_tointeger(L, index));
        else
            put_float(w, lua_tonumber(L, index));
        return true;
    case LUA_TSTRING:
        put_string(w, index);
        return true;
    case LUA_TLIGHTUSERDATA:
        if (!lua_touserdata(L, index))
            bundle_put(w, "null");
        return !lua_touserdata(L, index);
    default:
        return false;
    }
}

/* ---- Arrays ---- */

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
}

/* Makes a name of the keys that lead here, with dots between: users.factors, layers.1.weight. */
static void name_here(struct bundle_writer *w, const char *part, char name[NAME_MOST + 20])
{
    size_t length = 0;
    for (int d = 0; d < w->json.depth && length < NAME_MOST; d++) {
        size_t bytes;
        lua_pushvalue(w->L, w->json.base + 3 + 3 * d);
        const char *key = luaL_tolstring(w->L, -1, &bytes);
        if (d > 0)
            name[length++] = '.';
        for (size_t i = 0; i < bytes && length < NAME_MOST; i++)
            name[length++] = is_plain(key[i]) ? key[i] : '_';
        lua_pop(w->L, 2);
    }
    if (length == 0)
        length = (size_t)sprintf(name, "model");
    snprintf(name + length, 20, "%s%s", *part ? "." : "", part);
}

/* Pushes a name that no other array has: `name`, or `name` with a number where another array has
 * it. That happens where keys differ only in characters that a name does not keep. */
static void push_free_name(struct bundle_writer *w, const char *name)
{
    lua_State *L = w->L;
    lua_pushstring(L, name);
    while (lua_pushvalue(L, -1), lua_rawget(L, w->used_names) != LUA_TNIL) {
        lua_pop(L, 2);
        lua_getfield(L, w->used_names, name);
        lua_Integer next = lua_tointeger(L, -1) + 1; /* of `name`: the one tried may be another's */
        lua_pop(L, 1);
        lua_pushinteger(L, next);
        lua_setfield(L, w->used_names, name);
        lua_pushfstring(L, "%s-%I", name, (LUAI_UACINT)next);
    }
    lua_pop(L, 1);
    lua_pushvalue(L, -1);
    lua_pushinteger(L, 1);
    lua_rawset(L, w->used_names);
}

void bundle_put_array(struct bundle_writer *w, const char *part)
{
    lua_State *L = w->L;
    lua_pushvalue(L, -1);
    if (lua_rawget(L, w->tensor_name) == LUA_TNIL) {
        char name[NAME_MOST + 20];
        lua_pop(L, 1);
        name_here(w, part, name);
        push_free_name(w, name);
        lua_pushvalue(L, -1);
        lua_rawseti(L, w->arrays, ++w->array_count);
        lua_pushvalue(L, -2);
        lua_rawseti(L, w->arrays, ++w->array_count);
        lua_pushvalue(L, -2);
        lua_pushvalue(L, -2);
        lua_rawset(L, w->tensor_name);
    }
    put_string(w, -1);
    lua_pop(L, 1);
}
