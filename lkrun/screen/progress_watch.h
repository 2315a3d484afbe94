/* Displays for programs: JSON lines. */
#ifndef LKRUN_PROGRESS_WATCH_H
#define LKRUN_PROGRESS_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "screen/progress_display.h"

/* What the records say of the workflow's job: JSON text of an object with rule, wildcards and
 * outputs, each optional; NULL: nothing. False: the text is no such object. */
bool progress_set_job(const char *json);

/* The display as one line of JSON, without its newline; to be freed. NULL: out of memory. */
char *watch_json(const struct display *display, uint64_t now);
bool watch_is_on(void); /* LK_PROGRESS_DIR is set */
/* Appends a record to this process's file in LK_PROGRESS_DIR. */
void watch_write(const struct display *display, uint64_t now);
/* In a new worker: the open file is the parent's; this process opens one of its own when it needs
 * it. */
void watch_enter_worker(void);

#endif
