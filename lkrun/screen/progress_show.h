/* Displays on the screen: the way that LK_PROGRESS asks for, and bars, lines or JSON. */
#ifndef LKRUN_PROGRESS_SHOW_H
#define LKRUN_PROGRESS_SHOW_H

#include <stdint.h>
#include <lua.h>

#include "screen/progress_display.h"

enum show_mode { MODE_AUTO, MODE_BAR, MODE_LINES, MODE_JSON, MODE_NONE };

/* Raises when LK_PROGRESS is no way to show progress. C code that doesn't call this gets auto, and
 * a warning in the log. */
void progress_check_environment(lua_State *L);

/* The mode by LK_PROGRESS, LK_PROGRESS_DIR and the terminal; never MODE_AUTO. */
enum show_mode show_choose_mode(void);
/* Draws the bars of this list in place of those that are on the terminal. */
void show_bars(struct progress *first, uint64_t now);
/* Leaves the last bar of a display that has ended on the screen, above the others. */
void show_last_bar(struct display *display, uint64_t now);
/* Shows the display as a message of the log. */
void show_line(struct display *display, uint64_t now);
/* Writes the display as a line of JSON to standard error. */
void show_json(struct display *display, uint64_t now);

#endif
