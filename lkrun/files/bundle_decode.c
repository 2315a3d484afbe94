/* Nothing in a manifest is believed: each value is checked where it is read, and the error says
 * what is wrong with it. */
#include "files/bundle_decode.h"

#include <math.h>
#include <string.h>
#include <lauxlib.h>

#include "base/util.h"
#include "files/bundle.h"
#include "sparse/sparse.h"
#include "tensor/tensor.h"
#include "tensor/tensor_copy.h"
#include "value/json_tree.h"

/* Stack indices of bundle_decode. */
enum { MANIFEST = 1, ARRAYS, TREE, DEFINED };

/* Pushes the value. `number`: the number by which a table or matrix can be used again, or 0. */
static void push_value(lua_State *L, json_t *value, json_int_t number);

/* Notes the value at the top of the stack under its number, by which $use finds it from now on. */
static void define(lua_State *L, json_int_t number)
{
    if (number == 0)
        return;
    lua_pushvalue(L, -1);
    lua_rawseti(L, DEFINED, number);
}

static void push_sequence(lua_State *L, json_t *array, json_int_t number)
{
    size_t size = json_array_size(array);
    lua_createtable(L, size < INT32_MAX ? (int)size : INT32_MAX, 0);
    define(L, number);
    for (size_t i = 0; i < size; i++) {
        push_value(L, json_array_get(array, i), 0);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

static void push_fields(lua_State *L, json_t *object, json_int_t number)
{
    size_t size = json_object_size(object);
    lua_createtable(L, 0, size < INT32_MAX ? (int)size : INT32_MAX);
    define(L, number);
    for (void *i = json_object_iter(object); i; i = json_object_iter_next(object, i)) {
        lua_pushlstring(L, json_object_iter_key(i), json_object_iter_key_len(i));
        push_value(L, json_object_iter_value(i), 0);
        lua_rawset(L, -3);
    }
}

/* ---- Values that JSON does not have ---- */

/* {"$table":[key, value, …]} */
static void push_pairs(lua_State *L, json_t *array, json_int_t number)
{
    size_t size = json_array_size(array);
    if (!json_is_array(array) || size % 2 != 0)
        raise_plain(L, "$table is not a sequence of keys and values");
    lua_createtable(L, 0, size / 2 < INT32_MAX ? (int)(size / 2) : INT32_MAX);
    define(L, number);
    for (size_t i = 0; i < size; i += 2) {
        push_value(L, json_array_get(array, i), 0);
        bool is_key =
            !lua_istable(L, -1) && lua_type(L, -1) != LUA_TUSERDATA &&
            (lua_type(L, -1) != LUA_TNUMBER || lua_tonumber(L, -1) == lua_tonumber(L, -1));
        if (!is_key)
            raise_plain(L, "a key of $table is not a boolean, number, string or null");
        lua_pushvalue(L, -1);
        if (lua_rawget(L, -3) != LUA_TNIL)
            raise_plain(L, "$table has the key %.40s twice", luaL_tolstring(L, -2, NULL));
        lua_pop(L, 1);
        push_value(L, json_array_get(array, i + 1), 0);
        lua_rawset(L, -3);
    }
}

static int digit_of(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void push_bytes(lua_State *L, json_t *hex, json_int_t number)
{
    size_t length = json_string_length(hex);
    const char *digits = json_string_value(hex);
    luaL_Buffer buffer;
    (void)number;
    char *bytes = luaL_buffinitsize(L, &buffer, length / 2);
    bool fine = digits && length % 2 == 0;
    for (size_t i = 0; fine && i < length; i += 2) {
        int high = digit_of(digits[i]), low = digit_of(digits[i + 1]);
        fine = high >= 0 && low >= 0;
        bytes[i / 2] = (char)(high * 16 + low);
    }
    if (!fine)
        raise_plain(L, "$bytes is not a string of pairs of hexadecimal digits");
    luaL_pushresultsize(&buffer, length / 2);
}

static void push_float(lua_State *L, json_t *text, json_int_t number)
{
    const char *name = json_is_string(text) ? json_string_value(text) : "";
    double value = 0;
    uint64_t bits = 0;
    (void)number;
    int infinity = strcmp(name, "inf") == 0 ? 1 : strcmp(name, "-inf") == 0 ? -1 : 0;
    bool fine = infinity || strcmp(name, "nan") == 0;
    if (!fine && strncmp(name, "nan:", 4) == 0 && strlen(name) == 20) {
        fine = true;
        for (const char *at = name + 4; *at; at++) {
            fine &= digit_of(*at) >= 0;
            bits = bits << 4 | (uint64_t)(digit_of(*at) & 15);
        }
    }
    memcpy(&value, &bits, sizeof value);
    if (!fine || (bits && value == value))
        raise_plain(L, "$float is none of nan, inf, -inf and nan:BITS");
    lua_pushnumber(L, infinity ? infinity * (double)INFINITY : bits ? value : (double)NAN);
}

static void push_tensor(lua_State *L, json_t *name, json_int_t number)
{
    (void)number;
    if (!json_is_string(name))
        raise_plain(L, "the name of an array is not a string");
    lua_pushlstring(L, json_string_value(name), json_string_length(name));
    lua_rawget(L, ARRAYS);
    if (!tensor_test(L, -1))
        raise_plain(L, "there is no array '%.200s'", json_string_value(name));
}

/* {"$sparse":[rows, columns, pointers, column_of, values]} */
static void push_sparse(lua_State *L, json_t *parts, json_int_t number)
{
    int top = lua_gettop(L);
    json_t *rows = json_array_get(parts, 0), *columns = json_array_get(parts, 1);
    if (json_array_size(parts) != 5 || !json_is_integer(rows) || !json_is_integer(columns))
        raise_plain(L, "$sparse is not two sizes and the names of three arrays");
    for (size_t i = 2; i < 5; i++)
        push_tensor(L, json_array_get(parts, i), 0);
    /* sparse_push checks the pointers, which lead into memory. Left in a mapped file, they could be
     * changed afterwards, by whoever writes the file. */
    if (tensor_check(L, top + 1)->storage->is_file) {
        tensor_clone(L, tensor_check(L, top + 1));
        lua_replace(L, top + 1);
    }
    sparse_push(L, json_integer_value(rows), json_integer_value(columns), top + 1, top + 2,
                top + 3);
    lua_replace(L, top + 1);
    lua_settop(L, top + 1);
    define(L, number);
}

static void push_use(lua_State *L, json_t *number, json_int_t defined)
{
    (void)defined;
    lua_pushnil(L);
    if (json_is_integer(number)) {
        lua_pop(L, 1);
        lua_rawgeti(L, DEFINED, json_integer_value(number));
    }
    if (lua_isnil(L, -1))
        raise_plain(L, "$use of what is not defined before");
}

/* {"$define":number,"as":value}, where the value is a table or a matrix */
static void push_defined(lua_State *L, json_t *object)
{
    json_t *number = json_object_get(object, "$define"), *value = json_object_get(object, "as");
    if (json_object_size(object) != 2 || !value || !json_is_integer(number) ||
        json_integer_value(number) < 1)
        raise_plain(L, "$define is not a number from 1 on and what is defined, `as`");
    if (lua_rawgeti(L, DEFINED, json_integer_value(number)) != LUA_TNIL)
        raise_plain(L, "$define has the same number twice");
    lua_pop(L, 1);
    push_value(L, value, json_integer_value(number));
    if (lua_rawgeti(L, DEFINED, json_integer_value(number)) == LUA_TNIL)
        raise_plain(L, "$define is of neither a table nor a matrix");
    lua_pop(L, 1);
}

static void push_special(lua_State *L, json_t *object, const char *name, json_int_t number)
{
    static const struct {
        const char *name;
        void (*push)(lua_State *L, json_t *value, json_int_t number);
    } kinds[] = {{"$tensor", push_tensor}, {"$sparse", push_sparse}, {"$table", push_pairs},
                 {"$float", push_float},   {"$bytes", push_bytes},   {"$use", push_use}};
    if (strcmp(name, "$define") == 0 && number == 0) {
        push_defined(L, object);
        return;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(name, kinds[i].name) == 0 && json_object_size(object) == 1) {
            kinds[i].push(L, json_object_get(object, name), number);
            return;
        }
    raise_plain(L, "'%.40s' is nothing that a bundle of version %d has there", name,
                BUNDLE_VERSION);
}

static void push_object(lua_State *L, json_t *object, json_int_t number)
{
    for (void *i = json_object_iter(object); i; i = json_object_iter_next(object, i))
        if (json_object_iter_key(i)[0] == '$') {
            push_special(L, object, json_object_iter_key(i), number);
            return;
        }
    push_fields(L, object, number);
}

/* Recurses as deep as the text nests, which the parser limits. */
static void push_value(lua_State *L, json_t *value, json_int_t number)
{
    luaL_checkstack(L, 12, NULL);
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        push_object(L, value, number);
        break;
    case JSON_ARRAY:
        push_sequence(L, value, number);
        break;
    default:
        json_push_scalar(L, value);
        break;
    }
}

static json_t *parse(lua_State *L)
{
    size_t length;
    const char *text = lua_tolstring(L, MANIFEST, &length);
    json_error_t error;
    json_t *tree = json_tree_push(L, text, length, 0, &error);
    if (!tree)
        raise_plain(L, "line %d, column %d: %s", error.line, error.column, error.text);
    return tree;
}

int bundle_decode(lua_State *L)
{
    lua_settop(L, ARRAYS);
    json_t *tree = parse(L);
    const char *format = json_string_value(json_object_get(tree, "format"));
    json_t *version = json_object_get(tree, "version"), *model = json_object_get(tree, "model");
    if (!format || strcmp(format, BUNDLE_FORMAT) != 0 || !json_is_integer(version))
        raise_plain(L, "it is not that of a bundle of lkrun");
    if (json_integer_value(version) != BUNDLE_VERSION)
        raise_plain(L, "its version is %lld; this lkrun, %s, reads version %d: use a newer one",
                    (long long)json_integer_value(version), LKRUN_VERSION, BUNDLE_VERSION);
    if (!model)
        raise_plain(L, "it has no model");
    lua_newtable(L);
    push_value(L, model, 0);
    json_tree_free(L, TREE);
    return 1;
}
