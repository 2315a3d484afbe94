/* Making a region: its size, its memfd, its range of addresses. */
#ifndef LKRUN_REGION_MAKE_H
#define LKRUN_REGION_MAKE_H

#include <stdbool.h>

#include "memory/region_layout.h"

/* Makes an empty region. Its size is what LK_REGION_SIZE asks for, else that of this machine's
 * memory. False with *error set (no "lkrun: " prefix, thread-local storage), and nothing made. */
bool region_make(struct region *region, const char **error);

#endif
