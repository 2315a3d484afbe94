/* Reading JSON, by Jansson, and the module for Lua, lkrun.core.json. */
#include <lua.h>
#include <lauxlib.h>

#include "base/util.h"
#include "base/value_text.h"
#include "value/json_encode.h"
#include "value/json_tree.h"

#define WHERE "lk.json.decode"

static void push_value(lua_State *L, const json_t *value);

static void push_object(lua_State *L, json_t *object)
{
    size_t size = json_object_size(object);
    lua_createtable(L, 0, size < INT32_MAX ? (int)size : INT32_MAX);
    for (void *i = json_object_iter(object); i; i = json_object_iter_next(object, i)) {
        lua_pushlstring(L, json_object_iter_key(i), json_object_iter_key_len(i));
        push_value(L, json_object_iter_value(i));
        lua_rawset(L, -3);
    }
}

static void push_array(lua_State *L, const json_t *array)
{
    size_t size = json_array_size(array);
    lua_createtable(L, size < INT32_MAX ? (int)size : INT32_MAX, 0);
    for (size_t i = 0; i < size; i++) {
        push_value(L, json_array_get(array, i));
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

/* Recurses as deep as the text nests, which the parser limits. */
static void push_value(lua_State *L, const json_t *value)
{
    luaL_checkstack(L, 4, NULL);
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        push_object(L, (json_t *)value);
        break;
    case JSON_ARRAY:
        push_array(L, value);
        break;
    default:
        json_push_scalar(L, value);
        break;
    }
}

static int json_decode(lua_State *L)
{
    if (lua_type(L, 1) != LUA_TSTRING)
        return raise_error(L, WHERE, "the text is %s; expected a string", type_text(L, 1));
    size_t length;
    const char *text = lua_tolstring(L, 1, &length);
    json_error_t error;
    const json_t *tree = json_tree_push(L, text, length, JSON_DECODE_ANY, &error);
    if (!tree)
        return raise_error(L, WHERE, "line %d, column %d: %s", error.line, error.column,
                           error.text);
    push_value(L, tree);
    json_tree_free(L, -2);
    return 1;
}

/* object(t) → t, or a new table, which is from now on written as an object even when it is empty */
static int mark_object(lua_State *L)
{
    if (lua_isnoneornil(L, 1)) {
        lua_settop(L, 0);
        lua_newtable(L);
    }
    if (!lua_istable(L, 1))
        return raise_error(L, "lk.json.object", "%s is given; expected a table", type_text(L, 1));
    if (lua_getmetatable(L, 1)) {
        luaL_getmetatable(L, JSON_OBJECT_CLASS);
        if (!lua_rawequal(L, -1, -2))
            return raise_error(L, "lk.json.object", "the table has a metatable; JSON has none");
    }
    lua_settop(L, 1);
    luaL_setmetatable(L, JSON_OBJECT_CLASS);
    return 1;
}

static const luaL_Reg no_methods[] = {{NULL, NULL}};
static const luaL_Reg functions[] = {
    {"encode", json_encode}, {"decode", json_decode}, {"object", mark_object}, {NULL, NULL}};

int luaopen_lkrun_core_json(lua_State *L);
int luaopen_lkrun_core_json(lua_State *L)
{
    register_class(L, JSON_OBJECT_CLASS, no_methods);
    json_encode_open(L);
    luaL_newlib(L, functions);
    lua_pushlightuserdata(L, NULL);
    lua_setfield(L, -2, "null");
    return 1;
}
