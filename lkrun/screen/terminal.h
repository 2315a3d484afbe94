/* The user's terminal: what it can do, and the bars at its bottom below everything else
 * that is written there. */
#ifndef LKRUN_TERMINAL_H
#define LKRUN_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>

bool terminal_is_smart(int descriptor);   /* a terminal that can move its cursor: not TERM=dumb */
bool terminal_has_colour(int descriptor); /* smart, and NO_COLOR is not set */
bool terminal_is_utf8(void);              /* by LC_ALL, LC_CTYPE, LANG */
/* Its size in characters, as of now; 80 by 24 where the terminal doesn't say. */
void terminal_size(int descriptor, int *columns, int *rows);

/* Writes bytes, usually whole lines, to the program's descriptor 1 or 2: above the drawn lines
 * where that is the terminal. Bytes to standard output that can't be written are noted as lost. */
void terminal_write(int descriptor, const char *bytes, size_t length);
/* 0, or the errno for which bytes to standard output were lost first. */
int terminal_write_error(void);
/* As terminal_write, but notes nothing: false, with errno, when not all could be written. */
bool terminal_try_write(int descriptor, const char *bytes, size_t length);
/* As terminal_try_write, but takes no lock and does not care for drawn lines: for a process that
 * draws none. */
bool terminal_write_unlocked(int descriptor, const char *bytes, size_t length);

/* Draws these lines, which newlines separate, at the bottom of standard error's terminal in place
 * of those drawn before; none when length is 0. Nothing is drawn in a background job, on a terminal
 * that is held (Ctrl-S), or after output of the program that did not end with a newline. */
void terminal_draw(const char *lines, size_t length);
/* Writes this line, which ends with a newline, above the drawn ones, and on a row of its own. */
void terminal_leave(const char *line, size_t length);
/* Somebody else (the prompt) has moved the cursor to the first column of an empty row. */
void terminal_line_is_new(void);
/* Takes the drawn lines off until the next drawing. Async-signal-safe. */
void terminal_clear(void);
/* In a new process: the lines on the screen, and the lock, are the parent's. */
void terminal_enter_worker(void);

#endif
