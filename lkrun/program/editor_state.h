/* What the files of the line editor share: editor.c reads lines, editor_keys.c has the commands
 * that keys call, editor_draw.c draws the line anew where libedit would not know how. */
#ifndef LKRUN_EDITOR_STATE_H
#define LKRUN_EDITOR_STATE_H

#include <stdbool.h>
#include <stdio.h>
#include <lua.h>

#include "program/libedit.h"

struct editor {
    const struct libedit *library;
    EditLine *line;
    FILE *output; /* libedit's own: what the program does to stdout is nothing to it */
    /* Of the line that is edited. */
    lua_State *state; /* NULL: none is */
    int complete;     /* stack index of the function that completes */
    const char *prompt;
    int columns;      /* of the terminal for which it is drawn */
    bool interrupted; /* what comes next ends it, and it is dropped */
};
extern struct editor editor;

/* For libedit: 1 and a character, or 0 at the end of the input. A signal is the end of the line. */
int editor_read_character(EditLine *line, wchar_t *character);
void editor_bind_keys(void);

/* Draws the line where the cursor is: in the first column of a row with nothing below it. */
void draw_here(void);
/* In place of what the terminal made of it when it changed its width. */
void draw_resized(void);
/* Moves the cursor below the line. */
void draw_leave(void);
/* Notes the terminal's width as the one for which the line is drawn. */
void draw_note_columns(void);

#endif
