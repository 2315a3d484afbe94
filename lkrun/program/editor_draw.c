/* libedit does not notice that the terminal has another width, that the process was stopped, or
 * that something was printed meanwhile. On which rows the line stands then is computed from its
 * text, by the rules by which libedit draws (editor_layout.c). */
#include "program/editor_draw.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "program/editor_layout.h"
#include "program/editor_state.h"
#include "screen/terminal.h"

/* Moves the cursor by so many rows, down where the number is positive, and to the first column. */
static void move_rows(int rows)
{
    if (rows)
        fprintf(editor.output, "\033[%d%c", abs(rows), rows > 0 ? 'B' : 'A');
    fputc('\r', editor.output);
}

static struct layout layout_now(void)
{
    int columns, rows;
    const LineInfoW *info = editor.library->line_wide(editor.line);
    terminal_size(STDOUT_FILENO, &columns, &rows);
    struct layout layout = layout_of(info->buffer, (size_t)(info->cursor - info->buffer),
                                     (size_t)(info->lastchar - info->buffer),
                                     (int)strlen(editor.prompt), columns, editor.drawn_columns);
    /* libedit shows only a screenful of a line that is longer than the screen. */
    layout.cursor = layout.cursor < rows ? layout.cursor : rows - 1;
    layout.last = layout.last < rows ? layout.last : rows - 1;
    return layout;
}

void draw_note_columns(void)
{
    int rows;
    terminal_size(STDOUT_FILENO, &editor.drawn_columns, &rows);
}

void draw_here(void)
{
    fputs("\033[J", editor.output);
    editor.library->set(editor.line, EL_REFRESH);
    fflush(editor.output);
    draw_note_columns();
}

void draw_resized(void)
{
    move_rows(-layout_now().cursor);
    fflush(editor.output);
    editor.library->resize(editor.line);
    draw_here();
}

void draw_leave(void)
{
    struct layout layout = layout_now();
    move_rows(layout.last - layout.cursor);
    fputc('\n', editor.output);
    fflush(editor.output);
}
