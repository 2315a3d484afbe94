/* A JSON text as Jansson's tree, and what of it holds no other values as Lua's. */
#ifndef LKRUN_JSON_TREE_H
#define LKRUN_JSON_TREE_H

#include <jansson.h>
#include <lua.h>

/* Pushes the owner of a tree, so that an error cannot lose it, and parses `text`, in which an
 * object with a key twice is an error. NULL, with *error set, where it is no JSON. */
json_t *json_tree_push(lua_State *L, const char *text, size_t length, size_t flags,
                       json_error_t *error);

/* Frees the tree of the owner at `index` before the collector would. */
void json_tree_free(lua_State *L, int index);

/* Pushes a string, number, boolean or null. */
void json_push_scalar(lua_State *L, const json_t *value);

#endif
