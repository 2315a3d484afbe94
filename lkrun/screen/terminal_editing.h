/* The terminal while a line is edited on it: the modes that must not outlive that. */
#ifndef LKRUN_TERMINAL_EDITING_H
#define LKRUN_TERMINAL_EDITING_H

#include <stdbool.h>

/* Pastes are marked (bracketed), and a crash, a stop or a signal that ends the process gives the
 * terminal back as it is now. */
void editing_begin(void);
/* Once the editor has set its mode: Ctrl-Z is a key in its turn. The terminal would stop us at
 * once, and drop what was typed before it. */
void editing_take_keys(void);
void editing_end(void);

/* Async-signal-safe. For whoever ends the process: the terminal is as before editing_begin. */
void editing_abandon(void);
/* Around a stop of the process (Ctrl-Z): the terminal is given back, then taken again. */
void editing_suspend(void);
void editing_resume(void);

#endif
