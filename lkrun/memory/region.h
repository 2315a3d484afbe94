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
/* How many bytes a segment takes: whole pages. 0: it is not of this process's own region. */
size_t region_segment_bytes(const void *segment);
/* Gives a segment back. One that was inherited is left alone; one that a living worker inherited
 * waits until that worker's generation has ended. */
void region_free(void *segment);

/* Whether this address lies in this process's own region, and not in an inherited one. */
bool region_owns(const void *address);

/* Makes this process's region now, so that workers forked from here on see what is put there
 * later. False with *error set. */
bool region_open(const char **error);
/* For a worker that is not a fork of this process: the descriptor and the size of this process's
 * region. The descriptor stays the region's. */
int region_descriptor(size_t *size);
/* In that worker: maps the region behind the descriptor; region_enter_worker then makes it the
 * inherited one. Its memory stays writable, unless the caller protects it. */
bool region_attach(int descriptor, size_t size);
/* A handle names a segment to a process that inherited the region it lies in. */
uint64_t region_handle(const void *segment);
/* The segment under this handle, in this process's own region or in the one inherited last; NULL
 * when the handle, or a part of `bytes` bytes from it, lies outside. */
void *region_resolve_own(uint64_t handle, size_t bytes);
void *region_resolve_inherited(uint64_t handle, size_t bytes);

/* Around a fork of workers, which begins a generation of them and returns its number: segments that
 * live now are not reused before that generation has ended. Until region_fork_unlock no other
 * thread allocates or frees. 0: out of memory, and not locked. */
uint32_t region_fork_lock(void);
void region_fork_unlock(void);
void region_end_generation(uint32_t generation);

/* In a new worker: what was inherited becomes read-only memory, except segments that were marked;
 * the next region_alloc makes a region of this process's own. */
void region_enter_worker(void);
/* Before the fork: whether workers may write this segment. */
void region_mark_writable(void *segment, bool writable);
/* In a worker: makes its view of an inherited segment private, so that its writes stay its own, or
 * shared again, as it must be before the segment's pages are used for anything else. */
bool region_set_private(void *segment, size_t bytes, bool is_private);

/* All in bytes. */
struct region_use {
    size_t size; /* of the range of addresses */
    size_t used; /* in segments */
    size_t idle; /* of freed segments, kept for reuse or until a generation ends */
};
struct region_use region_use(void);

#endif
