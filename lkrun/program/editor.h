/* Editing the lines of the prompt on a terminal, with a history, completion and pastes in one
 * piece.
 */
#ifndef LKRUN_EDITOR_H
#define LKRUN_EDITOR_H

#include <stdbool.h>
#include <stddef.h>
#include <lua.h>

enum reading { READ_LINE, READ_END, READ_INTERRUPTED };

/* Whether lines can be edited here. False where standard input or output is no such terminal
 * (TERM=dumb), and, told on standard error, where the library is missing. */
bool editor_open(void);
/* Pushes the next line, without its end; it has several where several were pasted. The function at
 * `complete` is called with the text before the cursor and the width of the terminal; it gives the
 * text to insert, or nil, and a list to show, or nil. */
enum reading editor_read(lua_State *L, const char *prompt, int complete);
/* Adds a whole statement to the history, unless it is the same as the one before. */
void editor_remember(const char *entry, size_t length);
void editor_close(void);

#endif
