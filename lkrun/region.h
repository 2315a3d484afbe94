/* The region: one memfd over a reserved address range, mapped MAP_SHARED and inherited by workers,
 * so that what lies in it is one copy for all processes. See region.c for the invariants. */
#ifndef LKRUN_REGION_H
#define LKRUN_REGION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Storage above this many bytes is a segment of the region. */
#define REGION_THRESHOLD (64 * 1024)

/* A segment of at least `bytes` bytes, page aligned, of this process's own region (made on first
 * use). `zeroed`: its bytes are 0; otherwise they are anything. NULL with *error set to a message
 * (no "lkrun: " prefix, static or thread-local storage) when the region is full or can't be made. */
void *region_alloc(size_t bytes, bool zeroed, const char **error);
void region_free(void *segment, size_t bytes); /* the bytes that were asked for */

/* Whether this address lies in a region of this process or an inherited one. */
bool region_contains(const void *address);

#endif
