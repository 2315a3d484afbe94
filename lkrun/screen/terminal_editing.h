/* The modes of the terminal while a line is edited on it, which must not outlive the editing. */
#ifndef LKRUN_TERMINAL_EDITING_H
#define LKRUN_TERMINAL_EDITING_H

#include <stdbool.h>

/* From now on the terminal marks pastes (bracketed paste), and a crash, a stop or a signal that
 * ends the process gives the terminal back as it is now. */
void editing_begin(void);
/* To be called once the editor has set the terminal's mode: makes Ctrl-Z a key like any other.
 * Otherwise the terminal would stop the process at once, and drop what was typed before. */
void editing_take_keys(void);
void editing_end(void);

/* For whoever ends the process: puts the terminal back as it was before editing_begin. This and the
 * two below are async-signal-safe. */
void editing_abandon(void);
/* Around a stop of the process (Ctrl-Z): the terminal is given back, then taken again. */
void editing_suspend(void);
void editing_resume(void);

#endif
