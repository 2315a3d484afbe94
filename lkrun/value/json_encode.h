/* Lua values to JSON. */
#ifndef LKRUN_JSON_ENCODE_H
#define LKRUN_JSON_ENCODE_H

#include <lua.h>

/* How deep tables may nest: the parser's limit, so that what is written can be read. */
#define JSON_MAX_DEPTH 2047

/* The metatable of tables that are written as objects even when they are empty. */
#define JSON_OBJECT_CLASS "lkrun.json.object"

/* lk.json.encode(value, options) → text. */
int json_encode(lua_State *L);
void json_encode_open(lua_State *L); /* registers what json_encode needs: call it once, before */

#endif
