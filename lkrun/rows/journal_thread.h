/* The thread that brings a journal to the disk, and how a journal ends. */
#ifndef LKRUN_JOURNAL_THREAD_H
#define LKRUN_JOURNAL_THREAD_H

#include <stdbool.h>

#include "rows/journal.h"

/* All but journal_close return false, with `problem` set, where they fail. */
bool journal_run(struct journal *journal);  /* starts the thread */
bool journal_stop(struct journal *journal); /* ends the thread, with every record on the disk */
void journal_close(struct journal *journal);
/* The batch is over: removes the file, if it still is where it was opened. */
bool journal_remove(struct journal *journal);

#endif
