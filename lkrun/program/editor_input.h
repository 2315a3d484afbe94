/* Characters for the line editor, whose wait a signal can interrupt. */
#ifndef LKRUN_EDITOR_INPUT_H
#define LKRUN_EDITOR_INPUT_H

#include <signal.h>
#include <wchar.h>

#include "program/libedit.h"

/* The signal handlers and the signal mask from before the line was edited. */
struct editor_watch {
    struct sigaction resize, resume;
    sigset_t mask;
};

/* Around the editing of a line, in the thread that edits: the line is drawn again when the terminal
 * has changed its size (SIGWINCH) or the process goes on after a stop (SIGCONT). */
void editor_watch_changes(struct editor_watch *before);
void editor_unwatch_changes(const struct editor_watch *before);

/* For libedit: 1 and a character, or 0 at the end of the input. SIGINT or SIGTERM ends the line: it
 * sets editor.interrupted and gives a newline. */
int editor_read_character(EditLine *line, wchar_t *character);

#endif
