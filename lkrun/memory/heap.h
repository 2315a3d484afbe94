/* Where a Lua state allocates while workers live: memory of this process alone, so that the pages
 * it shares with workers are not written. See heap.c for the invariants. */
#ifndef LKRUN_HEAP_H
#define LKRUN_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <lua.h>

struct heap;

/* Puts a heap in front of the state's allocator, which goes on serving until heap_hold. NULL when
 * there is no address space for it: the state then does without. The heap lives as long as the
 * process, since a closing state needs its allocator to the very end. */
struct heap *heap_install(lua_State *L);

/* From here on, or no longer, new blocks come from the heap. */
void heap_hold(struct heap *heap, bool held);

/* In a new worker: a heap of its own in place of the inherited one. */
void heap_enter_worker(struct heap *heap);

/* Memory that it takes: its blocks, and what is kept for more. */
size_t heap_bytes(const struct heap *heap);

#endif
