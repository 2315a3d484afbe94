/* Segments of the region on their way between the host and its workers: tensors of tasks and
 * results, and tasks too large for a ring. See segment.c for the invariant. */
#ifndef LKRUN_SEGMENT_H
#define LKRUN_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum direction { OUTBOUND, INBOUND }; /* to workers, from workers */

struct segment {
    struct segment *next;
    void *address;
    size_t travelling_bytes; /* how many bytes of it count as under way; 0: it has arrived */
    /* If it was granted for a result: which of the worker's tasks asked for it, from 1. */
    uint32_t tag;
    uint8_t direction;
};

/* Puts a new segment at the front of the list. False, with *error set, when the region is full. */
bool segment_add(struct segment **list, enum direction direction, size_t bytes, const char **error);
void segments_free(struct segment **list);
/* Takes the segment at this address off the list, and leaves its memory to the caller. False: the
 * list has no such segment. */
bool segment_take(struct segment **list, const void *address);
/* The segments of the list have arrived: their memory stays in use, but is no longer under way. */
void segments_arrive(struct segment *list);
/* Whether so many bytes are under way that some should arrive before more are sent. */
bool segments_crowd(enum direction direction);
/* In a new worker: starts counting anew, because what is under way between the host and its workers
 * does not concern it. */
void segments_enter_worker(void);

#endif
