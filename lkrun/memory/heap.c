/* The heap: an allocator for one Lua state in one reserved range of addresses.
 *
 * What always holds:
 * - A block in [base, top) is of this heap, alive or in the free list of its class. Every other
 *   block is `outer`: it comes from the allocator that the state had before, or this worker
 *   inherited it.
 * - Lua says how large a block is when it gives it back, so blocks carry no header. A block's size
 *   is rounded up to that of its class, and the block never changes its class.
 * - A worker neither reuses nor gives back what it inherited: both would write into pages that it
 *   shares. (The C library's free lists run through all of a model's pages; filling their holes
 *   would copy a page for every small block.)
 * - Addresses from `opened` on are only reserved, and can't be accessed. So they do not count as
 *   memory of the process, even where the system promises no more memory than it has
 *   (vm.overcommit_memory = 2). */
#include "memory/heap.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ /* as gcc defines it */
#endif
#endif
/* HIDE tells AddressSanitizer that a block is free and must not be touched, SHOW the contrary. */
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/lsan_interface.h>
#define HIDE(block, size) ASAN_POISON_MEMORY_REGION(block, size)
#define SHOW(block, size) ASAN_UNPOISON_MEMORY_REGION(block, size)
#else
#define HIDE(block, size) ((void)0)
#define SHOW(block, size) ((void)0)
#endif

/* Bytes; the sizes of small classes, and the addresses of blocks, are multiples of it. */
#define STEP          16u
#define SMALL         ((size_t)512) /* bytes of the largest small class */
#define SMALL_CLASSES ((int)(SMALL / STEP))
/* Above SMALL there are four classes between a power of two and the next. */
#define CLASSES (SMALL_CLASSES + 4 * 40)
/* Of the free blocks of LARGE bytes and more, KEEP_LARGE bytes in all keep their pages; the pages
 * of the others go back to the system. */
#define LARGE      ((size_t)64 << 10)
#define KEEP_LARGE ((size_t)4 << 20)
/* Bytes of addresses; a smaller range is not worth reserving. */
#define SMALLEST_RANGE ((size_t)64 << 20)
#define OPENED_AT_ONCE ((size_t)1 << 20) /* bytes, at least, that carve makes accessible */

struct free_block {
    struct free_block *next;
    bool is_kept; /* of a large block: it keeps its pages */
};

struct heap {
    char *base;   /* of the range of addresses */
    char *top;    /* end of the blocks; the addresses from here on were never used */
    char *opened; /* end of the addresses that can be accessed */
    char *end;    /* of the range */
    struct free_block *free[CLASSES];
    size_t used;     /* bytes of blocks that are alive */
    size_t kept;     /* bytes of large free blocks that keep their pages */
    size_t dropped;  /* bytes of large free blocks whose pages went back */
    lua_Alloc outer; /* the allocator that the state had before */
    void *outer_context;
    bool is_held; /* new blocks come from the heap */
    bool in_worker;
    struct heap *next; /* in the list of all */
};

/* Nothing reads the list; it keeps the heaps reachable for leak checkers. */
static struct heap *all_heaps;

/* The class whose blocks are the smallest that hold `size` bytes: 16, 32, … 512, 640, 768, 896,
 * 1024, 1280, … */
static int class_of(size_t size)
{
    if (size <= SMALL)
        return (int)((size + STEP - 1) / STEP) - 1;
    int log = 63 - __builtin_clzll(size - 1);
    return SMALL_CLASSES + (log - 9) * 4 + (int)((size - 1) >> (log - 2) & 3);
}

/* The size of a class's blocks. */
static size_t size_of(int class)
{
    if (class < SMALL_CLASSES)
        return (size_t)(class + 1) * STEP;
    class -= SMALL_CLASSES;
    return (size_t)(class % 4 + 5) << (class / 4 + 7);
}

static bool contains(const struct heap *heap, const void *block)
{
    return (const char *)block >= heap->base && (const char *)block < heap->top;
}

/* The next `size` bytes that were never used. */
static void *carve(struct heap *heap, size_t size)
{
    if ((size_t)(heap->end - heap->top) < size)
        return NULL;
    if ((size_t)(heap->opened - heap->top) < size) {
        size_t more = (size_t)(heap->opened - heap->base); /* doubles what is open */
        more = more > OPENED_AT_ONCE ? more : OPENED_AT_ONCE;
        more = more > size ? more : (size + OPENED_AT_ONCE - 1) / OPENED_AT_ONCE * OPENED_AT_ONCE;
        if (more > (size_t)(heap->end - heap->opened))
            more = (size_t)(heap->end - heap->opened);
        if (mprotect(heap->opened, more, PROT_READ | PROT_WRITE) != 0)
            return NULL;
        heap->opened += more;
    }
    void *block = heap->top;
    heap->top += size;
    return block;
}

static void *take(struct heap *heap, size_t wanted)
{
    int class = class_of(wanted);
    if (class >= CLASSES)
        return NULL;
    size_t size = size_of(class);
    struct free_block *block = heap->free[class];
    if (!block) {
        block = carve(heap, size);
        if (!block)
            return NULL;
        SHOW(block, size);
    } else {
        SHOW(block, size);
        heap->free[class] = block->next;
        if (size >= LARGE)
            *(block->is_kept ? &heap->kept : &heap->dropped) -= size;
    }
    heap->used += size;
    return block;
}

/* Gives the block's pages back to the system, except the part at its start where the free_block
 * is. */
static void drop_pages(struct free_block *block, size_t size)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t first = ((uintptr_t)block + sizeof *block + page - 1) & ~(page - 1);
    uintptr_t end = ((uintptr_t)block + size) & ~(page - 1);
    if (end > first)
        madvise((void *)first, end - first, MADV_DONTNEED);
}

/* To be called when no block is alive: gives all pages back to the system. */
static void empty(struct heap *heap)
{
    if (heap->top > heap->base)
        madvise(heap->base, (size_t)(heap->top - heap->base), MADV_DONTNEED);
    memset(heap->free, 0, sizeof heap->free);
    heap->top = heap->base;
    heap->kept = heap->dropped = 0;
}

static void give_back(struct heap *heap, void *memory, size_t given)
{
    int class = class_of(given);
    size_t size = size_of(class);
    struct free_block *block = memory;
    heap->used -= size;
    block->next = heap->free[class];
    if (size >= LARGE) {
        block->is_kept = heap->kept + size <= KEEP_LARGE;
        *(block->is_kept ? &heap->kept : &heap->dropped) += size;
        if (!block->is_kept)
            drop_pages(block, size);
    }
    heap->free[class] = block;
    HIDE(block, size);
    if (!heap->used && !heap->is_held)
        empty(heap);
}

/* Gives an outer block back. A worker does nothing with it, see the head of this file. */
static void give_back_outer(struct heap *heap, void *block, size_t size)
{
    if (!heap->in_worker)
        heap->outer(heap->outer_context, block, size, 0);
}

static void *make(struct heap *heap, size_t kind, size_t size)
{
    void *made = heap->is_held ? take(heap, size) : NULL;
    return made ? made : heap->outer(heap->outer_context, NULL, kind, size);
}

static void *resize(struct heap *heap, void *block, size_t old_size, size_t new_size)
{
    bool is_ours = contains(heap, block);
    if (is_ours && class_of(old_size) == class_of(new_size))
        return block;
    if (!is_ours && !heap->is_held)
        return heap->outer(heap->outer_context, block, old_size, new_size);
    void *moved = make(heap, 0, new_size);
    if (!moved)
        return new_size < old_size ? block : NULL; /* Lua expects that shrinking never fails */
    memcpy(moved, block, old_size < new_size ? old_size : new_size);
    if (is_ours)
        give_back(heap, block, old_size);
    else
        give_back_outer(heap, block, old_size);
    return moved;
}

/* The state's lua_Alloc. Where `block` is NULL, `old_size` is the kind of object that is made. */
static void *allocate(void *context, void *block, size_t old_size, size_t new_size)
{
    struct heap *heap = context;
    if (!block)
        return new_size ? make(heap, old_size, new_size) : NULL;
    if (new_size)
        return resize(heap, block, old_size, new_size);
    if (contains(heap, block))
        give_back(heap, block, old_size);
    else
        give_back_outer(heap, block, old_size);
    return NULL;
}

/* Bytes of addresses to ask for first: many more than the state will need. */
static size_t range_wanted(void)
{
    size_t size = (size_t)sysconf(_SC_PHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE) * 4;
    struct rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
        size > limit.rlim_cur / 4)
        size = limit.rlim_cur / 4;
    return size / OPENED_AT_ONCE * OPENED_AT_ONCE;
}

/* Reserves the range, a smaller one where the system refuses. */
static bool reserve(struct heap *heap)
{
    for (size_t size = range_wanted(); size >= SMALLEST_RANGE;
         size = size / 2 / OPENED_AT_ONCE * OPENED_AT_ONCE) {
        char *base =
            mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (base == MAP_FAILED)
            continue;
        heap->base = heap->top = heap->opened = base;
        heap->end = base + size;
#if defined(__SANITIZE_ADDRESS__)
        __lsan_register_root_region(base, size);
#endif
        return true;
    }
    return false;
}

struct heap *heap_install(lua_State *L)
{
    struct heap *heap = calloc(1, sizeof *heap);
    if (!heap || !reserve(heap)) {
        free(heap);
        return NULL;
    }
    heap->outer = lua_getallocf(L, &heap->outer_context);
    heap->next = all_heaps;
    all_heaps = heap;
    lua_setallocf(L, allocate, heap);
    return heap;
}

void heap_hold(struct heap *heap, bool held)
{
    heap->is_held = held;
    if (!held && !heap->used)
        empty(heap);
}

void heap_enter_worker(struct heap *heap)
{
    heap->base = heap->top = heap->opened = heap->end = NULL;
    memset(heap->free, 0, sizeof heap->free);
    heap->used = heap->kept = heap->dropped = 0;
    heap->is_held = heap->in_worker = true;
    reserve(heap);
}

size_t heap_bytes(const struct heap *heap)
{
    return (size_t)(heap->top - heap->base) - heap->dropped;
}
