/* Tasks that are under way, and queues of them. */
#ifndef LKRUN_FLIGHT_H
#define LKRUN_FLIGHT_H

#include <stdbool.h>
#include <stdint.h>

#include "memory/segment.h"

/* A task on its way: in a queue of the host, or with a worker until its result is taken in. */
struct flight {
    uint64_t index;           /* in its map from 1; of a future, its number */
    char *bytes;              /* its payload while it is in a queue of the host; owned */
    struct segment *segments; /* of its large tensors; with TASK_INDIRECT the first has its bytes */
    uint32_t length;          /* of the payload */
    uint32_t offset;          /* where its frame starts in the worker's task ring, modulo 2^32 */
    uint32_t attempts;        /* times a worker died of it */
    uint8_t kind;             /* enum task_kind */
    uint8_t is_future;
    uint8_t is_dropped; /* nobody waits for its result */
};

/* Flights in order; a circular buffer that grows. */
struct flight_queue {
    struct flight *items;
    uint32_t capacity; /* a power of two */
    uint32_t first, count;
};

/* These give false where there is no memory. */
bool flights_grow(struct flight_queue *queue);
bool flights_push(struct flight_queue *queue, const struct flight *flight);
bool flights_push_front(struct flight_queue *queue, const struct flight *flight);
struct flight flights_pop(struct flight_queue *queue);
struct flight flights_pop_last(struct flight_queue *queue);
static inline struct flight *flights_at(const struct flight_queue *queue, uint32_t i)
{
    return &queue->items[(queue->first + i) & (queue->capacity - 1)];
}
static inline void flights_drop(struct flight_queue *queue) /* removes the oldest flight */
{
    queue->first = (queue->first + 1) & (queue->capacity - 1);
    queue->count--;
}
/* A new last flight, for the caller to fill in; NULL: no memory. */
static inline struct flight *flights_new(struct flight_queue *queue)
{
    if (queue->count == queue->capacity && !flights_grow(queue))
        return NULL;
    return flights_at(queue, queue->count++);
}
void flight_discard(struct flight *flight); /* frees what it owns */

#endif
