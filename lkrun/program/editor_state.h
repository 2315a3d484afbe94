/* The state of the line editor: editor.c sets it; the files that draw, read and bind keys use
 * it. */
#ifndef LKRUN_EDITOR_STATE_H
#define LKRUN_EDITOR_STATE_H

#include <stdbool.h>
#include <stdio.h>
#include <lua.h>

#include "program/libedit.h"

struct editor {
    const struct libedit *library;
    EditLine *line;
    /* A stream of libedit's own: what the program does to stdout does not affect it. */
    FILE *output;

    /* Of the line that is being edited. */
    lua_State *state; /* NULL: no line is being edited */
    int complete;     /* stack index of the function that completes */
    const char *prompt;
    int drawn_columns; /* width of the terminal for which the line was drawn last */
    bool interrupted;  /* a signal came: the line ends at its next character, and is dropped */
};

extern struct editor editor;

#endif
