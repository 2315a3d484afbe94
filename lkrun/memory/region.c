/* The region of a process: segments of whole pages in one memfd, which is mapped once, MAP_SHARED.
 *
 * What always holds:
 * - Pages [0, top) are covered by spans without a gap: allocated, free, or waiting. A span's first
 *   and last entry in `spans` carry its length, so neighbours merge in constant time; free spans
 *   hang in bins by the logarithm of their length; pages from `top` on were never used.
 * - A waiting span was freed, but a generation of workers that inherited it is not over: they may
 *   still read it, so it is neither reused nor emptied.
 * - Only the process that made a region changes its spans. After a fork the child sees the parent's
 *   region as `inherited`: read-only, but for segments marked writable and those the parent
 *   allocates later for it.
 * - The memfd has no name and is mapped nowhere else, so the kernel frees it
 *   with the last process. */
#include "memory/region.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "memory/region_make.h"
#include "memory/region_warm.h"

/* Freed pages are kept, because touching fresh ones costs a page fault each. Once this many bytes
 * are kept, the pages of further spans go back to the system when they are freed. */
#define KEEP_BYTES ((size_t)256 << 20)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct region own;
static struct region inherited; /* of the process that forked this one */
/* Generations of workers begun so far, which is the number of the last one. */
static uint32_t generation_count;
static uint32_t *live_generations; /* numbers of those that are not over: [live_count], ascending */
static int live_count, live_capacity;
static _Thread_local char message[200]; /* of the last error, see region_alloc */

static bool open_locked(const char **error)
{
    return own.base || region_make(&own, error);
}

bool region_open(const char **error)
{
    pthread_mutex_lock(&lock);
    bool opened = open_locked(error);
    pthread_mutex_unlock(&lock);
    return opened;
}

int region_descriptor(size_t *size)
{
    *size = own.size;
    return own.fd;
}

bool region_attach(int descriptor, size_t size)
{
    char *base =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, descriptor, 0);
    if (base == MAP_FAILED)
        return false;
    own = (struct region){.base = base, .size = size, .fd = descriptor, .waiting = NONE};
    return true;
}

static int bin_of(uint32_t pages)
{
    return 31 - __builtin_clz(pages);
}

static void set_span(uint32_t first, uint32_t pages, enum span_state state)
{
    struct span *last = &own.spans[first + pages - 1];
    own.spans[first].pages = last->pages = pages;
    own.spans[first].state = last->state = (uint8_t)state;
}

static void link_span(uint32_t *list, uint32_t first)
{
    struct span *span = &own.spans[first];
    span->prev = NONE;
    span->next = *list;
    if (*list != NONE)
        own.spans[*list].prev = first;
    *list = first;
}

static void unlink_span(uint32_t *list, uint32_t first)
{
    struct span *span = &own.spans[first];
    if (span->prev == NONE)
        *list = span->next;
    else
        own.spans[span->prev].next = span->next;
    if (span->next != NONE)
        own.spans[span->next].prev = span->prev;
}

static void empty_pages(uint32_t first, uint32_t pages)
{
    /* Where the system refuses, the bytes stay as they are, and the span stays dirty. */
    if (fallocate(own.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)first * PAGE,
                  (off_t)pages * PAGE) == 0) {
        own.spans[first].dirty = false;
        own.kept_pages -= pages;
        region_cool((uint64_t)first * PAGE, (size_t)pages * PAGE);
    }
}

/* Merges a span with its free neighbours, and puts the result in its bin. */
static void add_free(uint32_t first, uint32_t pages, bool dirty)
{
    if (dirty)
        own.kept_pages += pages;
    set_span(first, pages, SPAN_FREE);
    own.spans[first].dirty = dirty;
    if (dirty && own.kept_pages > KEEP_BYTES / PAGE)
        empty_pages(first, pages);
    dirty = own.spans[first].dirty;
    uint32_t after = first + pages;
    if (after < own.top && own.spans[after].state == SPAN_FREE && own.spans[after].dirty == dirty) {
        unlink_span(&own.bin[bin_of(own.spans[after].pages)], after);
        pages += own.spans[after].pages;
    }
    if (first > 0 && own.spans[first - 1].state == SPAN_FREE) {
        uint32_t before = first - own.spans[first - 1].pages;
        if (own.spans[before].dirty == dirty) {
            unlink_span(&own.bin[bin_of(own.spans[before].pages)], before);
            pages += own.spans[before].pages;
            first = before;
        }
    }
    set_span(first, pages, SPAN_FREE);
    own.spans[first].dirty = dirty;
    link_span(&own.bin[bin_of(pages)], first);
}

/* Gives the first span that is long enough in the bin for that length, else the first span of a bin
 * for longer ones. NONE: no free span is long enough. */
static uint32_t find_free(uint32_t pages)
{
    for (int i = bin_of(pages); i < BINS; i++)
        for (uint32_t first = own.bin[i]; first != NONE; first = own.spans[first].next)
            if (own.spans[first].pages >= pages)
                return first;
    return NONE;
}

/* Empties all free pages, so that free spans merge with each other and with the pages that were
 * never used. Where no span is long enough, this is the last thing to try. */
static void gather_free(void)
{
    for (int i = 0; i < BINS; i++)
        own.bin[i] = NONE;
    for (uint32_t at = 0; at < own.top;) {
        uint32_t first = at, dirty = 0;
        for (; at < own.top && own.spans[at].state == SPAN_FREE; at += own.spans[at].pages) {
            if (own.spans[at].dirty)
                empty_pages(at, own.spans[at].pages);
            dirty += own.spans[at].dirty ? own.spans[at].pages : 0;
        }
        if (at == first) {
            at += own.spans[at].pages;
            continue;
        }
        set_span(first, at - first, SPAN_FREE);
        own.spans[first].dirty = dirty > 0;
        if (dirty) /* clean pages between dirty ones count as dirty from now on */
            own.kept_pages += at - first - dirty;
        if (at == own.top && !dirty)
            own.top = at = first;
        else
            link_span(&own.bin[bin_of(at - first)], first);
    }
}

static uint32_t take_span(uint32_t pages, bool *dirty)
{
    uint32_t first = find_free(pages);
    if (first == NONE && own.pages - own.top < pages) {
        gather_free();
        first = find_free(pages);
    }
    if (first == NONE) {
        if (own.pages - own.top < pages)
            return NONE;
        first = own.top;
        own.top += pages;
        *dirty = false;
        return first;
    }
    uint32_t found = own.spans[first].pages;
    *dirty = own.spans[first].dirty;
    unlink_span(&own.bin[bin_of(found)], first);
    if (found > pages) {
        set_span(first + pages, found - pages, SPAN_FREE);
        own.spans[first + pages].dirty = *dirty;
        link_span(&own.bin[bin_of(found - pages)], first + pages);
    }
    if (*dirty)
        own.kept_pages -= pages;
    return first;
}

void *region_alloc(size_t bytes, bool zeroed, const char **error)
{
    size_t pages = bytes / PAGE + (bytes % PAGE != 0);
    pages += pages == 0;
    pthread_mutex_lock(&lock);
    if (!open_locked(error)) {
        pthread_mutex_unlock(&lock);
        return NULL;
    }
    bool dirty = false;
    uint32_t first = pages <= own.pages ? take_span((uint32_t)pages, &dirty) : NONE;
    if (first == NONE) {
        snprintf(message, sizeof message,
                 "the region is full: %zu of its %zu bytes are in use and %zu more are needed; "
                 "set LK_REGION_SIZE to more, or let go of tensors",
                 (own.used_pages + own.idle_pages) * PAGE, own.size, bytes);
        pthread_mutex_unlock(&lock);
        *error = message;
        return NULL;
    }
    set_span(first, (uint32_t)pages, SPAN_USED);
    own.spans[first].born = generation_count;
    own.spans[first].writable = false;
    own.used_pages += pages;
    pthread_mutex_unlock(&lock);
    char *segment = own.base + (size_t)first * PAGE;
    if (zeroed && dirty)
        memset(segment, 0, pages * PAGE);
    return segment;
}

static bool within(const struct region *region, const void *address)
{
    const char *at = address;
    return region->base && at >= region->base && at < region->base + region->size;
}

static uint32_t page_of(const void *segment)
{
    return (uint32_t)((size_t)((const char *)segment - own.base) / PAGE);
}

size_t region_segment_bytes(const void *segment)
{
    pthread_mutex_lock(&lock);
    size_t bytes = within(&own, segment) ? (size_t)own.spans[page_of(segment)].pages * PAGE : 0;
    pthread_mutex_unlock(&lock);
    return bytes;
}

/* Whether a worker may live that inherited a span which was allocated and freed at
 * these numbers of generations. */
static bool still_inherited(uint32_t born, uint32_t freed)
{
    for (int i = 0; i < live_count; i++)
        if (live_generations[i] > born && live_generations[i] <= freed)
            return true;
    return false;
}

void region_free(void *segment)
{
    if (!within(&own, segment))
        return;
    pthread_mutex_lock(&lock);
    uint32_t first = page_of(segment);
    struct span *span = &own.spans[first];
    own.used_pages -= span->pages;
    if (still_inherited(span->born, generation_count)) {
        own.idle_pages += span->pages;
        span->freed = generation_count;
        set_span(first, span->pages, SPAN_WAITING);
        link_span(&own.waiting, first);
    } else {
        add_free(first, span->pages, true);
    }
    pthread_mutex_unlock(&lock);
}

bool region_owns(const void *address)
{
    return within(&own, address);
}

uint64_t region_handle(const void *segment)
{
    const struct region *region = within(&own, segment) ? &own : &inherited;
    return (uint64_t)((const char *)segment - region->base);
}

static void *resolve(const struct region *region, uint64_t handle, size_t bytes)
{
    if (!region->base || handle >= region->size || bytes > region->size - handle)
        return NULL;
    return region->base + handle;
}

void *region_resolve_own(uint64_t handle, size_t bytes)
{
    return resolve(&own, handle, bytes);
}

void *region_resolve_inherited(uint64_t handle, size_t bytes)
{
    return resolve(&inherited, handle, bytes);
}

uint32_t region_fork_lock(void)
{
    pthread_mutex_lock(&lock);
    if (live_count == live_capacity) {
        uint32_t *more = realloc(live_generations, sizeof *more * (size_t)(live_capacity + 16));
        if (!more) {
            pthread_mutex_unlock(&lock);
            return 0;
        }
        live_generations = more;
        live_capacity += 16;
    }
    live_generations[live_count++] = ++generation_count;
    return generation_count;
}

void region_fork_unlock(void)
{
    pthread_mutex_unlock(&lock);
}

void region_end_generation(uint32_t generation)
{
    pthread_mutex_lock(&lock);
    for (int i = 0; i < live_count; i++)
        if (live_generations[i] == generation) {
            memmove(live_generations + i, live_generations + i + 1,
                    sizeof *live_generations * (size_t)(--live_count - i));
            break;
        }
    for (uint32_t first = own.base ? own.waiting : NONE, next; first != NONE; first = next) {
        struct span *span = &own.spans[first];
        next = span->next;
        if (!still_inherited(span->born, span->freed)) {
            unlink_span(&own.waiting, first);
            own.idle_pages -= span->pages;
            add_free(first, span->pages, true);
        }
    }
    pthread_mutex_unlock(&lock);
}

void region_mark_writable(void *segment, bool writable)
{
    pthread_mutex_lock(&lock);
    own.spans[page_of(segment)].writable = writable;
    pthread_mutex_unlock(&lock);
}

/* Protects what workers must not write, with one mprotect for each run of neighbouring spans. */
static void protect_inherited(void)
{
    uint32_t start = 0;
    for (uint32_t at = 0; at <= inherited.top;
         at += at < inherited.top ? inherited.spans[at].pages : 1) {
        const struct span *span = &inherited.spans[at];
        bool stays_writable = at == inherited.top || span->state == SPAN_FREE ||
                              (span->state == SPAN_USED && span->writable);
        if (!stays_writable)
            continue;
        if (at > start)
            (void)!mprotect(inherited.base + (size_t)start * PAGE, (size_t)(at - start) * PAGE,
                            PROT_READ);
        start = at < inherited.top ? at + span->pages : at;
    }
}

void region_enter_worker(void)
{
    pthread_mutex_init(&lock, NULL);
    inherited = own;
    own = (struct region){0};
    live_count = 0;
    /* A spawned worker has no spans; it protects each tensor of the model when it takes it. */
    if (inherited.spans)
        protect_inherited();
}

bool region_set_private(void *segment, size_t bytes, bool is_private)
{
    int flags = (is_private ? MAP_PRIVATE : MAP_SHARED) | MAP_FIXED | MAP_NORESERVE;
    off_t offset = (off_t)((char *)segment - inherited.base);
    region_cool((uint64_t)offset, bytes);
    return mmap(segment, (bytes + PAGE - 1) / PAGE * PAGE, PROT_READ | PROT_WRITE, flags,
                inherited.fd, offset) != MAP_FAILED;
}

struct region_use region_use(void)
{
    pthread_mutex_lock(&lock);
    struct region_use use = {own.size, own.used_pages * PAGE,
                             (own.idle_pages + own.kept_pages) * PAGE};
    pthread_mutex_unlock(&lock);
    return use;
}
