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

/* A frame starts on 8 bytes; its bytes follow, and padding. Most tasks and results are a few bytes
 * long, so there is a short form, one cache line for eight integers: it has no index, because the
 * reader knows it. */
struct frame {
    uint8_t kind, flags;
    uint8_t brief; /* bytes of a short frame, which come next; FRAME_LONG: it is a long one */
    uint8_t unused;
    uint32_t length; /* bytes of a long frame, which come after the index */
    uint64_t index;
};
#define FRAME_LONG      0xFF
#define FRAME_SHORT_MAX 0xFE
#define FRAME_SHORT_AT  offsetof(struct frame, unused)

static inline bool frame_is_long(const struct frame *frame)
{
    return frame->brief == FRAME_LONG;
}
static inline size_t frame_length(const struct frame *frame)
{
    return frame_is_long(frame) ? frame->length : frame->brief;
}
static inline const char *frame_bytes(const struct frame *frame)
{
    return (const char *)frame + (frame_is_long(frame) ? sizeof *frame : FRAME_SHORT_AT);
}
/* What a frame of that many bytes takes of a ring. */
static inline size_t frame_short_size(size_t length)
{
    return (FRAME_SHORT_AT + length + 7) & ~(size_t)7;
}
static inline size_t frame_long_size(size_t length)
{
    return (sizeof(struct frame) + length + 7) & ~(size_t)7;
}
static inline size_t frame_size(const struct frame *frame)
{
    return frame_is_long(frame) ? frame_long_size(frame->length) : frame_short_size(frame->brief);
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

static inline char *ring_place(const struct ring *ring)
{
    return ring->data + (ring->at & (ring->size - 1));
}
/* Writer: bytes that may be written at ring_place now; looks at the reader only when `want` would
 * not fit otherwise. */
static inline size_t ring_room(struct ring *ring, size_t want)
{
    if (ring->size - (size_t)(ring->at - ring->seen) < want)
        ring->seen = atomic_load_explicit(&ring->shared->tail, memory_order_acquire);
    return ring->size - (size_t)(ring->at - ring->seen);
}
/* Writer: a frame at ring_place, where frame_long_size has room; gives where its bytes go. */
static inline char *ring_frame(const struct ring *ring, uint8_t kind, uint8_t flags,
                               uint32_t length, uint64_t index)
{
    struct frame *frame = (struct frame *)(void *)ring_place(ring);
    *frame = (struct frame){kind, flags, FRAME_LONG, 0, length, index};
    return (char *)(frame + 1);
}
/* Writer: a short one. Its bytes may be written to ring_short_place before. */
static inline char *ring_short_place(const struct ring *ring)
{
    return ring_place(ring) + FRAME_SHORT_AT;
}
static inline void ring_short_frame(const struct ring *ring, uint8_t kind, uint8_t flags,
                                    size_t length)
{
    struct frame *frame = (struct frame *)(void *)ring_place(ring);
    frame->kind = kind;
    frame->flags = flags;
    frame->brief = (uint8_t)length;
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

/* The line some frames ahead comes into this side's cache meanwhile: it lies in the other side's. A
 * reader fetches only what is published, or it would take from the writer what that writes to. */
#define RING_AHEAD 512
static inline void ring_fetch_to_write(const struct ring *ring)
{
    const char *ahead = ring_place(ring) + RING_AHEAD;
#if defined(__x86_64__)
    __asm__ volatile("prefetchw %0" : : "m"(*ahead)); /* not what __builtin_prefetch makes of it */
#else
    __builtin_prefetch(ahead, 1);
#endif
}
static inline void ring_fetch_to_read(const struct ring *ring)
{
    __builtin_prefetch(ring_place(ring) + RING_AHEAD, 0);
}

/* Reader: the next frame, whole, or NULL; ring_take moves past it, ring_release gives the space of
 * all that was taken back to the writer. */
static inline const struct frame *ring_peek(struct ring *ring)
{
    if (ring->at == ring->seen) {
        ring->seen = atomic_load_explicit(&ring->shared->head, memory_order_acquire);
        if (ring->at == ring->seen)
            return NULL;
    }
    return (const struct frame *)(const void *)ring_place(ring);
}
static inline void ring_take(struct ring *ring, const struct frame *frame)
{
    ring->at += frame_size(frame);
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
