/* Bytes to another process without system calls: a ring with one writer and one reader, and a
 * doorbell for the side that sleeps. The invariants stand at the head of channel.c. */
#ifndef LKRUN_CHANNEL_H
#define LKRUN_CHANNEL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CACHE_LINE 64

/* What the two sides share. Positions count bytes since the start and never wrap; a position modulo
 * the ring's size is its place in the ring. */
struct ring_shared {
    /* Moved by the writer: bytes before it may be read. */
    _Alignas(CACHE_LINE) _Atomic uint64_t head;
    /* Moved by the reader: bytes before it may be overwritten. */
    _Alignas(CACHE_LINE) _Atomic uint64_t tail;
};

/* One side's view. The bytes are mapped twice in a row, so that any `size` bytes from
 * any place are contiguous. */
struct ring {
    struct ring_shared *shared;
    char *data;
    size_t size;   /* a power of two */
    uint64_t at;   /* this side's own position: written up to, or read up to */
    uint64_t seen; /* what it last saw of the other side's position */
};

/* The head of a frame, which starts at a multiple of 8 bytes; the frame's bytes follow, and
 * padding. Most tasks and results are a few bytes long, so there is a short form: its bytes begin
 * at `unused`, and it has no index, because the reader knows it. Eight frames that hold a small
 * number each take one cache line. */
struct frame {
    uint8_t kind, flags;
    uint8_t brief; /* how many bytes a short frame has; FRAME_LONG: the frame is a long one */
    uint8_t unused;
    uint32_t length; /* how many bytes a long frame has, which begin behind the index */
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
/* How much of a ring a short or a long frame of so many bytes takes. */
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

/* Maps memory that both sides of `count` rings of `size` bytes share, each ring twice in a row; a
 * forked process inherits it. `kept`, if not NULL, gets a descriptor of the memory, which the
 * caller closes. NULL with errno set. */
char *ring_memory_map(int count, size_t size, int *kept);
/* Maps the same memory in a process that got the descriptor. NULL with errno set. */
char *ring_memory_attach(int descriptor, int count, size_t size);
void ring_memory_unmap(char *memory, int count, size_t size);

/* Makes `ring` one side of the ring with this index, from 0, in that memory. The side starts at the
 * shared tail, so a writer must be attached while the ring is still empty. */
void ring_attach(struct ring *ring, struct ring_shared *shared, char *memory, int index,
                 size_t size);

static inline char *ring_place(const struct ring *ring)
{
    return ring->data + (ring->at & (ring->size - 1));
}
/* Writer: how many bytes may be written at ring_place now. Looks up the reader's position, which
 * may cost a cache miss, only when `want` bytes would not fit otherwise. */
static inline size_t ring_room(struct ring *ring, size_t want)
{
    if (ring->size - (size_t)(ring->at - ring->seen) < want)
        ring->seen = atomic_load_explicit(&ring->shared->tail, memory_order_acquire);
    return ring->size - (size_t)(ring->at - ring->seen);
}
/* Writer: puts the head of a long frame at ring_place, where frame_long_size bytes have room. Gives
 * the place for the frame's bytes. */
static inline char *ring_frame(const struct ring *ring, uint8_t kind, uint8_t flags,
                               uint32_t length, uint64_t index)
{
    struct frame *frame = (struct frame *)(void *)ring_place(ring);
    *frame = (struct frame){kind, flags, FRAME_LONG, 0, length, index};
    return (char *)(frame + 1);
}
/* Writer: where the bytes of a short frame go. They may be written before ring_short_frame, which
 * puts the frame's head there. */
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
/* Writer: moves its position past the frame that it wrote; ring_publish lets the reader see it. */
static inline void ring_advance(struct ring *ring, size_t bytes)
{
    ring->at += bytes;
}
static inline void ring_publish(struct ring *ring)
{
    atomic_store_explicit(&ring->shared->head, ring->at, memory_order_release);
}

/* Fetches the cache line that lies RING_AHEAD bytes ahead into this side's cache, because until
 * then it is in the other side's. A reader may do so only if that place is published: otherwise it
 * would take the line away from the writer that is filling it. */
#define RING_AHEAD 512
static inline void ring_fetch_to_write(const struct ring *ring)
{
    const char *ahead = ring_place(ring) + RING_AHEAD;
#if defined(__x86_64__)
    /* __builtin_prefetch(…, 1) becomes this instruction only with -mprfchw. */
    __asm__ volatile("prefetchw %0" : : "m"(*ahead));
#else
    __builtin_prefetch(ahead, 1);
#endif
}
static inline void ring_fetch_to_read(const struct ring *ring)
{
    __builtin_prefetch(ring_place(ring) + RING_AHEAD, 0);
}

/* Reader: the next frame, which is whole, or NULL. ring_take moves past it; ring_release gives the
 * writer the space of all frames that were taken. */
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

/* A doorbell: the sleeper's flag, in shared memory, to which an eventfd belongs. */
struct doorbell {
    _Alignas(CACHE_LINE) _Atomic uint32_t asleep;
};

/* The waker, after it has published something: wakes the other side if that sleeps. */
void doorbell_ring(struct doorbell *bell, int descriptor);
/* The sleeper: announces that it will sleep. It must then look once more for what it waits for, and
 * call doorbell_cancel where that has come, else doorbell_wait. */
void doorbell_announce(struct doorbell *bell);
void doorbell_cancel(struct doorbell *bell);
/* The sleeper: sleeps until the bell is rung, or a signal comes; returns at once when the bell was
 * rung after doorbell_announce. */
void doorbell_wait(struct doorbell *bell, int descriptor);

/* Notes whether it has paid lately to look for a moment before sleeping. A sleep and a wake-up cost
 * more than a short wait; but on a busy machine a process that keeps looking keeps the other side
 * from its CPU. */
struct patience {
    uint32_t misses; /* looks in a row that found nothing; each makes the next look rarer */
    uint32_t waits;  /* calls of patience_look that found nothing at the first glance */
};
/* Nanoseconds that one look takes at most. */
#define PATIENCE 20000u
/* Whether `ready` is true, now or while this looks. */
bool patience_look(struct patience *patience, bool (*ready)(void *context), void *context);

#endif
