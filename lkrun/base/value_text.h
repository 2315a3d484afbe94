/* How messages say what a value is, for C and, as lkrun.core.value_text, for Lua. */
#ifndef LKRUN_VALUE_TEXT_H
#define LKRUN_VALUE_TEXT_H

#include <lua.h>

/* The type of a value with its article: "nil", "a table", "an invoker", "a sparse matrix", "a
 * coroutine", "a userdata (FILE*)". May leave strings on the stack. */
const char *type_text(lua_State *L, int index);

/* Pushes the value itself where that says something: a string in quotes, a number, a
 * boolean or nil as it is written. Of everything else it pushes the type, because an
 * address would tell nobody anything. */
const char *push_brief(lua_State *L, int index);

#endif
