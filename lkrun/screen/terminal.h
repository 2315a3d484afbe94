/* The user's terminal: what it can do, and the bars at its bottom among everything else written
 * there. */
#ifndef LKRUN_TERMINAL_H
#define LKRUN_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>

bool terminal_is_smart(int descriptor);   /* a terminal that can move its cursor: not TERM=dumb */
bool terminal_has_colour(int descriptor); /* smart, and NO_COLOR is not set */
bool terminal_is_utf8(void);              /* by LC_ALL, LC_CTYPE, LANG */
/* In characters, as of now; 80 by 24 where the terminal doesn't say. */
void terminal_size(int descriptor, int *columns, int *rows);

/* Writes it all, waiting where the descriptor is full; false: it is closed or broken. */
bool terminal_write_all(int descriptor, const char *bytes, size_t length);

/* As output_write; false, with errno, when it could not all be written. */
bool terminal_output(int descriptor, const char *bytes, size_t length);

/* Shows these lines, joined by newlines, at the bottom of standard error's terminal in place of the
 * ones before; none when length is 0. What is written by output_write goes above them. Nothing is
 * drawn in a background job, on a terminal that is held (Ctrl-S), or after an unfinished line of
 * the program's own. */
void terminal_draw(const char *lines, size_t length);
/* Leaves this line, newline included, above them for good, on a line of its own. */
void terminal_leave(const char *line, size_t length);
/* Somebody else, the prompt, has moved the cursor to the first column of an empty line. */
void terminal_line_is_new(void);
/* Takes them off until the next drawing. Async-signal-safe. */
void terminal_clear(void);
/* In a new process: the lines on the screen, and the lock, are the parent's. */
void terminal_enter_worker(void);

#endif
