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
 * (no "lkrun: " prefix, thread-local storage) when the region is full or can't be made. */
void *region_alloc(size_t bytes, bool zeroed, const char **error);
/* How many bytes a segment takes, whole pages. */
size_t region_segment_bytes(const void *segment);
/* Gives a segment back. One that was inherited is left alone; one that a living worker inherited
 * waits until that worker's generation has ended. */
void region_free(void *segment);

/* Whether this address lies in a region of this process or an inherited one. */
bool region_contains(const void *address);

bool region_owns(const void *address); /* … of this process alone */

/* Makes this process's region now, so that workers forked from here on see what is put there
 * later. False with *error set. */
bool region_open(const char **error);
/* For a process that is no fork: the descriptor behind this process's region, which stays ours, and
 * its size; and over there a mapping of it, which region_enter_worker then makes the inherited one.
 */
int region_descriptor(size_t *size);
bool region_attach(int descriptor, size_t size);
/* A handle names a segment to a process that inherited the region it lies in. */
uint64_t region_handle(const void *segment);
/* The segment under this handle, in this process's own region or in the one inherited last; NULL
 * when it lies outside. */
void *region_resolve_own(uint64_t handle, size_t bytes);
void *region_resolve_inherited(uint64_t handle, size_t bytes);

/* Around a fork of workers. Everything alive now stays unrecycled until the generation, whose
 * number is returned, has ended. The lock keeps other threads out of the allocator meanwhile.
 * 0: out of memory, and not locked. */
uint32_t region_fork_lock(void);
void region_fork_unlock(void);
void region_end_generation(uint32_t generation);

/* In a new worker: what was inherited becomes read-only memory, except segments that were marked;
 * the next region_alloc makes a region of this process's own. */
void region_enter_worker(void);
/* Before the fork: workers may write this segment. */
void region_mark_writable(void *segment, bool writable);
/* In a worker: makes its view of an inherited segment private, so that its writes stay its own, or
 * shared again, which it must be before others may use its pages for something else. */
bool region_set_private(void *segment, size_t bytes, bool is_private);

/* --- region_warm.c --- */
/* Before a segment is written whole: maps its pages, which costs less than a fault for each. */
void region_warm(void *segment, size_t bytes);
/* They may have gone. */
void region_cool(void *segment, size_t bytes);

struct region_use {
    size_t size; /* bytes of address range */
    size_t used; /* bytes in segments */
    size_t idle; /* bytes of freed segments kept for reuse or for a generation to end */
};
struct region_use region_use(void);

#endif
