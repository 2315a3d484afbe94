/* Drawing the edited line again where libedit would not know how. */
#ifndef LKRUN_EDITOR_DRAW_H
#define LKRUN_EDITOR_DRAW_H

/* Draws the line where the cursor is: in the first column of a row with nothing below it. */
void draw_here(void);
/* After a change of the terminal's width, for which the terminal has moved the line's text: draws
 * the line in its place. */
void draw_resized(void);
/* Moves the cursor to the row below the line. */
void draw_leave(void);
/* Notes the terminal's width as the one for which the line is drawn. */
void draw_note_columns(void);

#endif
