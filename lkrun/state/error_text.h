/* What a raised value, which may be anything, says to people. */
#ifndef LKRUN_ERROR_TEXT_H
#define LKRUN_ERROR_TEXT_H

#include <lua.h>

/* Pushes the text of the error at this index: a string as it is, with the name of ours that may
 * have been meant by one that is nil; what has a __tostring by that, a table by its `message` or
 * its fields, all else by its type. For message handlers: it looks at the function that failed, and
 * raises nothing but what a __tostring raises, and no memory. */
const char *push_error_text(lua_State *L, int index);

#endif
