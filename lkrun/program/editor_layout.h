/* Where the characters of the edited line stand on the screen. */
#ifndef LKRUN_EDITOR_LAYOUT_H
#define LKRUN_EDITOR_LAYOUT_H

#include <stddef.h>
#include <wchar.h>

/* Rows, counted from the row of the prompt. */
struct layout {
    int cursor; /* row of the cursor */
    int last;   /* row of the end of the text */
};

/* The rows of `length` characters behind a prompt of `prompt` columns, on a terminal that has
 * `columns` columns now and had `drawn` of them when libedit drew the line. A terminal that changes
 * its width joins rows again that it had broken because they were full. It keeps the break where a
 * row ends in a space, because libedit made that break itself. */
struct layout layout_of(const wchar_t *text, size_t cursor, size_t length, int prompt, int columns,
                        int drawn);
/* How many characters the cursor must go back to come to the same column one line of the text
 * higher, or forward to come one line lower; 0: there is no such line. */
int layout_up(const wchar_t *text, size_t cursor);
int layout_down(const wchar_t *text, size_t cursor, size_t length);
/* Cleans pasted text in place: the line ends that terminals send become newlines; control
 * characters other than tabs, and the newlines at the end, are removed. Gives the new length. */
size_t layout_clean(wchar_t *text, size_t length);

#endif
