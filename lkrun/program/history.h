/* The prompt's history: a file in the XDG state folder that several prompts may share. */
#ifndef LKRUN_HISTORY_H
#define LKRUN_HISTORY_H

#include <stddef.h>

/* Calls `each` with every entry, oldest first, as text that ends with 0. */
void history_load(void (*each)(const char *entry));
/* Adds an entry at the end. The first call that fails says why on standard error. */
void history_append(const char *entry, size_t length);

#endif
