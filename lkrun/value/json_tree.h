/* A JSON text parsed into Jansson's tree, which Lua owns, and the scalars of that tree as Lua
 * values. */
#ifndef LKRUN_JSON_TREE_H
#define LKRUN_JSON_TREE_H

#include <jansson.h>
#include <lua.h>

/* Parses `text` and pushes a userdata that owns the tree, so that no error can leak it. A key that
 * an object has twice is an error. NULL, with *error set, where the text is not JSON. */
json_t *json_tree_push(lua_State *L, const char *text, size_t length, size_t flags,
                       json_error_t *error);

/* Frees the tree of the userdata at `index` at once, before the collector would. */
void json_tree_free(lua_State *L, int index);

/* Pushes a string, number, boolean or null. */
void json_push_scalar(lua_State *L, const json_t *value);

#endif
