/* What workers print. */
#ifndef LKRUN_POOL_OUTPUT_H
#define LKRUN_POOL_OUTPUT_H

#include <stddef.h>
#include "pool/pool_state.h"

/* Passes on what is in the pipes of the worker, in whole lines. */
void pool_read_output(struct worker *worker);
void pool_flush_output(struct worker *worker); /* the same, and ends a line that is unfinished */
/* Passes on bytes that a thread printed; `which`: 0 is standard output, 1 standard error. */
void pool_pass_output(struct worker *worker, int which, const char *bytes, size_t length);

#endif
