#include "value/json_tree.h"

#include <lauxlib.h>

#define TREE_CLASS "lkrun.json.tree"

void json_tree_free(lua_State *L, int index)
{
    json_t **tree = lua_touserdata(L, index);
    json_decref(*tree);
    *tree = NULL;
}

static int collect(lua_State *L)
{
    json_tree_free(L, 1);
    return 0;
}

json_t *json_tree_push(lua_State *L, const char *text, size_t length, size_t flags,
                       json_error_t *error)
{
    json_t **tree = lua_newuserdatauv(L, sizeof *tree, 0);
    *tree = NULL;
    if (luaL_newmetatable(L, TREE_CLASS)) {
        lua_pushcfunction(L, collect);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    *tree = json_loadb(text, length, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | flags, error);
    return *tree;
}

void json_push_scalar(lua_State *L, const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_STRING:
        lua_pushlstring(L, json_string_value(value), json_string_length(value));
        break;
    case JSON_INTEGER:
        lua_pushinteger(L, json_integer_value(value));
        break;
    case JSON_REAL:
        lua_pushnumber(L, json_real_value(value));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        lua_pushboolean(L, json_is_true(value));
        break;
    default:
        lua_pushlightuserdata(L, NULL);
        break;
    }
}
