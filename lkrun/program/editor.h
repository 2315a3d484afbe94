/* Editing the lines of the prompt on a terminal: history, completion, pastes in one piece. */
#ifndef LKRUN_EDITOR_H
#define LKRUN_EDITOR_H

#include <stdbool.h>
#include <stddef.h>
#include <lua.h>

enum reading { READ_LINE, READ_END, READ_INTERRUPTED };

/* Prepares the editing of lines. False where that is not possible: where standard input or output
 * is no terminal that can move its cursor (TERM=dumb cannot), and where libedit is missing, which a
 * line on standard error then says. */
bool editor_open(void);
/* Pushes the next line, without the newline at its end; it has newlines inside where several
 * lines were pasted. The function at the stack index `complete` is called with the text
 * before the cursor and the width of the terminal; it gives the text to insert, or nil, and a
 * list to show, or nil. */
enum reading editor_read(lua_State *L, const char *prompt, int complete);
/* Adds a whole statement to the history, unless it is the same as the one before. */
void editor_remember(const char *entry, size_t length);
void editor_close(void);

#endif
