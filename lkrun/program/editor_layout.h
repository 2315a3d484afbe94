/* Where the characters of a line that is edited stand on the screen. */
#ifndef LKRUN_EDITOR_LAYOUT_H
#define LKRUN_EDITOR_LAYOUT_H

#include <stddef.h>
#include <wchar.h>

/* Rows, counted from the row of the prompt. */
struct layout {
    int cursor; /* of the cursor */
    int last;   /* of the end of the text */
};

/* Of `length` characters behind a prompt so wide, on a terminal of so many columns, which were
 * drawn when it had `drawn` of them: a terminal joins the rows again that a full row made, but
 * libedit does not fill a row that ends in a space. */
struct layout layout_of(const wchar_t *text, size_t cursor, size_t length, int prompt, int columns,
                        int drawn);
/* Characters to go back for the same place a line of the text higher, forward for a line lower; 0:
 * there is no such line. */
int layout_up(const wchar_t *text, size_t cursor);
int layout_down(const wchar_t *text, size_t cursor, size_t length);
/* Pasted text in place: newlines for what terminals send, no other control characters than tabs, no
 * newline at the end. Gives its new length. */
size_t layout_clean(wchar_t *text, size_t length);

#endif
