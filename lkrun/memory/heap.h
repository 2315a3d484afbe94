/* Where a Lua state allocates while workers live: in memory of this process alone, so that the
 * pages which it shares with its workers are not written. See heap.c for the invariants. */
#ifndef LKRUN_HEAP_H
#define LKRUN_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <lua.h>

struct heap;

/* Puts a heap in front of the state's allocator, from which blocks still come until heap_hold. NULL
 * when there is no address space for a heap. The heap lives as long as the process, because a
 * closing state needs its allocator to the very end. */
struct heap *heap_install(lua_State *L);

/* From now on new blocks come from the heap (`held`), or from the allocator before it. */
void heap_hold(struct heap *heap, bool held);

/* In a new worker: a heap of its own in place of the inherited one. */
void heap_enter_worker(struct heap *heap);

/* Bytes of memory that the heap takes: its blocks, and the free memory that it keeps for more of
 * them. */
size_t heap_bytes(const struct heap *heap);

#endif
