/* What workers print. */
#ifndef LKRUN_POOL_OUTPUT_H
#define LKRUN_POOL_OUTPUT_H

#include <stddef.h>
#include "pool/pool_state.h"

void pool_read_output(struct worker *worker);
void pool_flush_output(struct worker *worker); /* an unfinished line too */
void pool_pass_output(struct worker *worker, int which, const char *bytes, size_t length);

#endif
