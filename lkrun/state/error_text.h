/* What a raised value, which may be anything, says to people. */
#ifndef LKRUN_ERROR_TEXT_H
#define LKRUN_ERROR_TEXT_H

#include <lua.h>

/* Pushes the text of the error at this index. A string is its own text; where it says that a field
 * or method is nil, the name of lkrun's that may have been meant follows. A value with a __tostring
 * gives its text, a table its `message` or its fields, anything else its type. For message
 * handlers: it looks at the function that failed. It raises only what a __tostring raises, and "not
 * enough memory". */
const char *push_error_text(lua_State *L, int index);

#endif
