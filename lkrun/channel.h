/* Bytes to another process without system calls: a ring with one writer and one reader, and a
 * doorbell for the side that sleeps. The invariants stand at the head of channel.c. */
#ifndef LKRUN_CHANNEL_H
#define LKRUN_CHANNEL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CACHE_LINE 64

/* What the two sides share; all else each keeps for itself. Positions count bytes since the start
 * and never wrap; position modulo size is the place. */
struct ring_shared {
    _Alignas(CACHE_LINE) _Atomic uint64_t head; /* the writer's: bytes before it may be read */
    _Alignas(
        CACHE_LINE) _Atomic uint64_t tail; /* the reader's: bytes before it may be overwritten */
};

/* One side's view. The bytes are mapped twice in a row, so that any `size` bytes from any place
 * are contiguous. */
struct ring {
    struct ring_shared *shared;
    char *data;
    size_t size;   /* a power of two */
    uint64_t at;   /* this side's own position: written up to, or read up to */
    uint64_t seen; /* what it last saw of the other side's position */
};

/* A frame starts on 8 bytes with this; `length` bytes follow, then padding to 8. */
struct frame {
    uint32_t length;
    uint16_t kind;
    uint16_t flags;
    uint64_t index;
};

static inline size_t frame_size(size_t length)
{
    return (sizeof(struct frame) + length + 7) & ~(size_t)7;
}

/* Memory that both sides of `count` rings share: mapped twice each, inherited over a fork. `kept`,
 * if not NULL, gets a descriptor of it, which is the caller's. NULL with errno set. The mapping is
 * `ring_memory_size(count, size)` bytes long; the owner unmaps it.
 */
char *ring_memory_map(int count, size_t size, int *kept);
/* The same memory in a process that got the descriptor. */
char *ring_memory_attach(int descriptor, int count, size_t size);
void ring_memory_unmap(char *memory, int count, size_t size);

/* `index`: which of the rings of that memory. Both sides start from the same shared positions. */
void ring_attach(struct ring *ring, struct ring_shared *shared, char *memory, int index,
                 size_t size);

/* Writer: bytes that may be written at ring_place now; looks at the reader only when `want` would
 * not fit otherwise. */
size_t ring_room(struct ring *ring, size_t want);
static inline char *ring_place(const struct ring *ring)
{
    return ring->data + (ring->at & (ring->size - 1));
}
/* Writer: moves its position over what it wrote; ring_publish lets the reader see it. */
static inline void ring_advance(struct ring *ring, size_t bytes)
{
    ring->at += bytes;
}
static inline void ring_publish(struct ring *ring)
{
    atomic_store_explicit(&ring->shared->head, ring->at, memory_order_release);
}

/* The bytes some frames ahead of this side's position come into its cache meanwhile: they lie in
 * the other side's. */
#define RING_AHEAD 512
static inline void ring_fetch_ahead(const struct ring *ring, bool for_writing)
{
    const char *ahead = ring_place(ring) + RING_AHEAD;
    if (for_writing)
        __builtin_prefetch(ahead, 1);
    else
        __builtin_prefetch(ahead, 0);
}

/* Reader: the next frame, whole, or NULL; ring_take moves past it, ring_release gives the space of
 * all that was taken back to the writer. */
const struct frame *ring_peek(struct ring *ring);
static inline void ring_take(struct ring *ring, const struct frame *frame)
{
    ring->at += frame_size(frame->length);
}
static inline void ring_release(struct ring *ring)
{
    atomic_store_explicit(&ring->shared->tail, ring->at, memory_order_release);
}

/* A doorbell: the sleeper's flag in shared memory and an eventfd. */
struct doorbell {
    _Alignas(CACHE_LINE) _Atomic uint32_t asleep;
};

/* The other side, after it published something: wakes the sleeper if there is one. */
void doorbell_ring(struct doorbell *bell, int descriptor);
/* The sleeper: announces it, then must look once more at what it waits for; then waits on the
 * descriptor, or cancels. */
void doorbell_announce(struct doorbell *bell);
void doorbell_cancel(struct doorbell *bell);
/* Whether looking for a moment before sleeping has lately paid: a sleep and a wake-up cost more
 * than a short wait, but on a busy machine looking keeps the other side from its CPU. */
struct patience {
    uint32_t misses; /* in a row; each makes the next looks rarer */
    uint32_t waits;
};
/* Looks for at most PATIENCE nanoseconds, if that has paid lately; true: it is ready. */
#define PATIENCE 20000u
bool patience_look(struct patience *patience, bool (*ready)(void *context), void *context);

/* Sleeps until rung; returns at once when it already was. A signal ends it too. */
void doorbell_wait(struct doorbell *bell, int descriptor);

#endif
