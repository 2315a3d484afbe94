/* JSON text of Lua values. */
#ifndef LKRUN_JSON_H
#define LKRUN_JSON_H

#include <lua.h>

/* Tables nested in each other: the parser's limit, so that what is written can be read. */
#define JSON_MAX_DEPTH 2047

/* The metatable of tables that are written as objects even where they are empty. */
#define JSON_OBJECT_CLASS "lkrun.json.object"

/* lk.json.encode(value, options) and lk.json.decode(text). */
int json_encode(lua_State *L);
int json_decode(lua_State *L);
void json_encode_open(lua_State *L); /* once, before either */

#endif
