/* How messages tell what a value is: the one place for C and, as lkrun.core.value_text, for Lua. */
#ifndef LKRUN_VALUE_TEXT_H
#define LKRUN_VALUE_TEXT_H

#include <lua.h>

/* The type of a value with its article: "nil", "a table", "an invoker", "a sparse matrix". May
 * leave a string on the stack. */
const char *type_text(lua_State *L, int index);

/* Pushes the value itself where that is short and says something: a string in quotes, a number, a
 * boolean or nil as it is written. Everything else is told by its type, because an address would
 * tell nobody anything. */
const char *push_brief(lua_State *L, int index);

#endif
