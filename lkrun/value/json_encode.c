/* JSON is not written by Jansson, because that writes every float with 17 digits, 0.1 as
 * 0.10000000000000001, and needs a tree of its own values, one for every element of a tensor.
 *
 * Invariant: a table that is being written, at depth d from 0, has the stack slots base + 3d + 1 …
 * + 3: the table, its sorted keys or nil, and the current key; the value of that key is above. All
 * memory belongs to Lua, so that an error may leave from anywhere. */
#include "value/json_encode.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/value_text.h"
#include "tensor/tensor.h"
#include "tensor/tensor_argument.h"
#include "value/json_writer.h"
#include "value/path.h"

#define BUFFER_CLASS "lkrun.json.buffer"
#define MAX_INDENT   16

static int buffer_collect(lua_State *L)
{
    buffer_free(luaL_checkudata(L, 1, BUFFER_CLASS));
    return 0;
}

void json_encode_open(lua_State *L)
{
    static const luaL_Reg methods[] = {{"__gc", buffer_collect}, {NULL, NULL}};
    register_class(L, BUFFER_CLASS, methods);
}

/* For functions that need room for the text of an error: writing nested tables recurses, and that
 * room must not be part of each of its stack frames. */
#define OUT_OF_LINE __attribute__((noinline))

static void put_value(struct json_writer *w);

/* One key of an object. Its bytes are those of a string in the table of keys, at `index`. */
struct json_key {
    const char *bytes;
    size_t length;
    lua_Integer index;
};

static int compare_keys(const void *left, const void *right)
{
    const struct json_key *a = left, *b = right;
    int order = memcmp(a->bytes, b->bytes, a->length < b->length ? a->length : b->length);
    return order ? order : (a->length > b->length) - (a->length < b->length);
}

/* Pushes the keys of the table at the top of the stack, which are all strings, in order: a block of
 * struct json_key, whose user value is the table of the keys. */
static struct json_key *push_sorted_keys(lua_State *L, size_t count)
{
    int table = lua_gettop(L);
    struct json_key *keys = lua_newuserdatauv(L, count * sizeof *keys, 1);
    lua_createtable(L, (int)count, 0);
    lua_pushnil(L);
    for (size_t i = 0; i < count && lua_next(L, table); i++) {
        lua_pop(L, 1);
        keys[i].bytes = lua_tolstring(L, -1, &keys[i].length);
        keys[i].index = (lua_Integer)i + 1;
        lua_pushvalue(L, -1);
        lua_rawseti(L, -3, keys[i].index);
    }
    lua_settop(L, table + 2);
    lua_setiuservalue(L, -2, 1);
    qsort(keys, count, sizeof *keys, compare_keys);
    return keys;
}

/* Writes the key and the value at the top of the stack. */
static void put_entry(struct json_writer *w, bool first)
{
    size_t length;
    const char *key = lua_tolstring(w->L, -2, &length);
    if (!first)
        json_put(w, ",", 1);
    json_put_line(w, w->depth);
    w->depth--; /* an error about the key has the path of the table */
    json_put_string(w, key, length, "a key");
    w->depth++;
    json_put(w, ": ", w->indent ? 2 : 1);
    put_value(w);
}

static void put_object(struct json_writer *w, size_t count)
{
    lua_State *L = w->L;
    int table = lua_gettop(L);
    json_put(w, "{", 1);
    w->depth++;
    if (w->sorted) {
        const struct json_key *keys = push_sorted_keys(L, count);
        for (size_t i = 0; i < count; i++) {
            lua_getiuservalue(L, table + 1, 1);
            lua_rawgeti(L, -1, keys[i].index);
            lua_replace(L, table + 2);
            lua_pushvalue(L, -1);
            lua_rawget(L, table);
            put_entry(w, i == 0);
            lua_settop(L, table + 1);
        }
    } else {
        lua_pushnil(L); /* in place of the sorted keys */
        lua_pushnil(L); /* before the first key, for lua_next */
        for (bool first = true; lua_next(L, table); first = false) {
            put_entry(w, first);
            lua_pop(L, 1);
        }
    }
    lua_settop(L, table);
    w->depth--;
    if (count > 0)
        json_put_line(w, w->depth);
    json_put(w, "}", 1);
}

static void put_array(struct json_writer *w, size_t count)
{
    lua_State *L = w->L;
    int table = lua_gettop(L);
    json_put(w, "[", 1);
    w->depth++;
    lua_pushnil(L);
    for (size_t i = 1; i <= count; i++) {
        if (i > 1)
            json_put(w, ",", 1);
        json_put_line(w, w->depth);
        lua_pushinteger(L, (lua_Integer)i);
        lua_rawgeti(L, table, (lua_Integer)i);
        put_value(w);
        lua_settop(L, table + 1);
    }
    lua_settop(L, table);
    w->depth--;
    if (count > 0)
        json_put_line(w, w->depth);
    json_put(w, "]", 1);
}

/* Raises for the table at the top of the stack, which is nested too deep. Where it is one of the
 * open tables, the values have a cycle, and the path ends where the cycle closes for the first
 * time. */
OUT_OF_LINE static void raise_depth(struct json_writer *w)
{
    lua_State *L = w->L;
    int back = w->depth - 1;
    const void *table = lua_topointer(L, -1);
    while (back >= 0 && lua_topointer(L, w->base + 3 * back + 1) != table)
        back--;
    if (back < 0) {
        char problem[80];
        snprintf(problem, sizeof problem, "nested more than %d tables deep", JSON_MAX_DEPTH);
        json_raise_here(w, problem);
    }
    int period = w->depth - back, start = 0;
    while (lua_topointer(L, w->base + 3 * start + 1) !=
           lua_topointer(L, w->base + 3 * (start + period) + 1))
        start++;
    char path[PATH_SIZE], problem[PATH_SIZE + 40];
    path_write(L, "value", w->base + 3, 3, (size_t)start, path);
    snprintf(problem, sizeof problem, "leads back to %s; JSON has no cycles", path);
    json_raise_at(w, start + period, "", problem);
}

/* Raises for the key at the top of the stack, because of which the table below it is neither an
 * array nor an object. */
OUT_OF_LINE static void raise_key(struct json_writer *w, size_t elements)
{
    lua_State *L = w->L;
    char key[PATH_SIZE], problem[PATH_SIZE + 120];
    path_write(L, "", lua_gettop(L), 1, 1, key);
    if (elements > 0)
        snprintf(problem, sizeof problem,
                 "a sequence that has the key %s too; JSON has arrays and objects, nothing between",
                 key);
    else
        snprintf(problem, sizeof problem,
                 "the key %s is neither a string nor part of a sequence without holes", key);
    json_raise_here(w, problem);
}

/* Raises for the first hole of the sequence at the top of the stack. */
OUT_OF_LINE static void raise_hole(struct json_writer *w)
{
    lua_Integer hole = 1;
    for (; lua_rawgeti(w->L, -1, hole) != LUA_TNIL; hole++)
        lua_pop(w->L, 1);
    char problem[100];
    snprintf(problem, sizeof problem, "a sequence with a hole at [%lld]; lk.null can fill it",
             (long long)hole);
    json_raise_here(w, problem);
}

OUT_OF_LINE static void raise_kind(struct json_writer *w)
{
    json_raise_here(w, lua_pushfstring(w->L, "%s has no JSON", type_text(w->L, -1)));
}

/* Whether the table at the top of the stack is written as an array, and how many entries it has.
 * Raises where it can be neither an array nor an object. */
static bool is_array(struct json_writer *w, bool marked, size_t *count)
{
    lua_State *L = w->L;
    size_t elements = marked ? 0 : lua_rawlen(L, -1);
    *count = 0;
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        lua_pop(L, 1);
        ++*count;
        if (elements > 0
                ? !lua_isinteger(L, -1) || (lua_Unsigned)lua_tointeger(L, -1) - 1 >= elements
                : lua_type(L, -1) != LUA_TSTRING)
            raise_key(w, elements);
    }
    if (elements > *count)
        raise_hole(w);
    return !marked && *count == elements;
}

static void put_table(struct json_writer *w)
{
    lua_State *L = w->L;
    bool marked = false;
    if (lua_getmetatable(L, -1)) {
        luaL_getmetatable(L, JSON_OBJECT_CLASS);
        marked = lua_rawequal(L, -1, -2);
        lua_pop(L, 2);
        if (!marked)
            json_raise_here(w, "a table with a metatable has no JSON");
    }
    if (w->depth == JSON_MAX_DEPTH)
        raise_depth(w);
    size_t count;
    if (is_array(w, marked, &count))
        put_array(w, count);
    else
        put_object(w, count);
}

/* Writes the value at the top of the stack. */
static void put_value(struct json_writer *w)
{
    lua_State *L = w->L;
    luaL_checkstack(L, 12, "too many nested tables");
    const struct tensor *tensor;
    switch (lua_type(L, -1)) {
    case LUA_TBOOLEAN:
        json_put(w, lua_toboolean(L, -1) ? "true" : "false", lua_toboolean(L, -1) ? 4 : 5);
        return;
    case LUA_TNUMBER:
        if (lua_isinteger(L, -1))
            json_put_integer(w, lua_tointeger(L, -1));
        else
            json_put_float(w, lua_tonumber(L, -1));
        return;
    case LUA_TSTRING: {
        size_t length;
        const char *bytes = lua_tolstring(L, -1, &length);
        json_put_string(w, bytes, length, "a string");
        return;
    }
    case LUA_TTABLE:
        put_table(w);
        return;
    case LUA_TLIGHTUSERDATA:
        if (!lua_touserdata(L, -1)) {
            json_put(w, "null", 4);
            return;
        }
        break;
    case LUA_TUSERDATA:
        if ((tensor = tensor_test(L, -1))) {
            json_put_tensor(w, tensor);
            return;
        }
        break;
    case LUA_TNIL:
        json_raise_here(w, "nil has no JSON; lk.null has");
    }
    raise_kind(w);
}

static void read_options(struct json_writer *w, int index)
{
    static const char *const names[] = {"indent", "sort_keys", NULL};
    lua_State *L = w->L;
    options_argument(L, index, names, JSON_ENCODE);
    if (!lua_isnil(L, -2)) {
        int integer;
        lua_Integer indent = lua_tointegerx(L, -2, &integer);
        if (!integer || indent < 0 || indent > MAX_INDENT)
            raise_error(L, JSON_ENCODE, "indent is %.80s; expected an integer from 0 to %d",
                        push_brief(L, -2), MAX_INDENT);
        w->indent = (int)indent;
    }
    if (!lua_isnil(L, -1)) {
        if (!lua_isboolean(L, -1))
            raise_error(L, JSON_ENCODE, "sort_keys is %s; expected a boolean", type_text(L, -1));
        w->sorted = lua_toboolean(L, -1);
    }
    lua_pop(L, 2);
}

int json_encode(lua_State *L)
{
    luaL_checkany(L, 1);
    lua_settop(L, 2);
    struct json_writer w = {.L = L, .sorted = true};
    read_options(&w, 2);
    w.out = lua_newuserdatauv(L, sizeof *w.out, 0);
    *w.out = (struct buffer){0};
    luaL_setmetatable(L, BUFFER_CLASS);
    w.base = lua_gettop(L);
    lua_pushvalue(L, 1);
    put_value(&w);
    lua_pushlstring(L, w.out->data, w.out->length);
    buffer_free(w.out);
    return 1;
}
