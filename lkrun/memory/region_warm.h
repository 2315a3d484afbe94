/* Mapping the pages of a segment at once, before they are written. */
#ifndef LKRUN_REGION_WARM_H
#define LKRUN_REGION_WARM_H

#include <stddef.h>
#include <stdint.h>

/* Before a segment is written as a whole: maps its pages, which costs less than a page fault for
 * each. `offset`: where the segment starts in its region, as region_handle gives it. */
void region_warm(void *segment, uint64_t offset, size_t bytes);
/* These bytes of the region may no longer be mapped: the next region_warm maps them again. */
void region_cool(uint64_t offset, size_t bytes);

#endif
