/* Queues of flights, and what a flight owns. */
#include "pool/flight.h"

#include <stdlib.h>

#include "memory/segment.h"

bool flights_grow(struct flight_queue *queue)
{
    uint32_t capacity = queue->capacity ? queue->capacity * 2 : 16;
    struct flight *items = malloc(capacity * sizeof *items);
    if (!items)
        return false;
    for (uint32_t i = 0; i < queue->count; i++)
        items[i] = *flights_at(queue, i);
    free(queue->items);
    queue->items = items;
    queue->capacity = capacity;
    queue->first = 0;
    return true;
}

bool flights_push(struct flight_queue *queue, const struct flight *flight)
{
    if (queue->count == queue->capacity && !flights_grow(queue))
        return false;
    queue->count++;
    *flights_at(queue, queue->count - 1) = *flight;
    return true;
}

bool flights_push_front(struct flight_queue *queue, const struct flight *flight)
{
    if (queue->count == queue->capacity && !flights_grow(queue))
        return false;
    queue->first = (queue->first - 1) & (queue->capacity - 1);
    queue->count++;
    *flights_at(queue, 0) = *flight;
    return true;
}

struct flight flights_pop(struct flight_queue *queue)
{
    struct flight flight = *flights_at(queue, 0);
    flights_drop(queue);
    return flight;
}

struct flight flights_pop_last(struct flight_queue *queue)
{
    queue->count--;
    return *flights_at(queue, queue->count);
}

void flight_discard(struct flight *flight)
{
    free(flight->bytes);
    flight->bytes = NULL;
    segments_free(&flight->segments);
}
