/* What always holds: `travelling[d]` is the sum of `travelling_bytes` over all segments of
 * direction d. Whoever sends asks segments_crowd first, so that tensors fill neither the region nor
 * memory, however many tasks wait for workers, or results for the loop that takes them. The
 * counters are atomic because a worker that is a thread may be the host of workers of its own. */
#include "memory/segment.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "memory/region.h"

/* Enough is under way in a direction when it is so many bytes, or 1/MOST_SHARE of the region. */
#define MOST_BYTES ((size_t)64 << 20)
#define MOST_SHARE 8

static atomic_size_t travelling[2];

bool segment_add(struct segment **list, enum direction direction, size_t bytes, const char **error)
{
    struct segment *segment = malloc(sizeof *segment);
    *error = "out of memory";
    void *address = segment ? region_alloc(bytes, false, error) : NULL;
    if (!address) {
        free(segment);
        return false;
    }
    *segment = (struct segment){.next = *list,
                                .address = address,
                                .travelling_bytes = bytes,
                                .direction = (uint8_t)direction};
    travelling[direction] += bytes;
    *list = segment;
    return true;
}

void segments_arrive(struct segment *list)
{
    for (; list; list = list->next) {
        travelling[list->direction] -= list->travelling_bytes;
        list->travelling_bytes = 0;
    }
}

void segments_free(struct segment **list)
{
    segments_arrive(*list);
    while (*list) {
        struct segment *segment = *list;
        *list = segment->next;
        region_free(segment->address);
        free(segment);
    }
}

bool segment_take(struct segment **list, const void *address)
{
    for (struct segment **at = list; *at; at = &(*at)->next) {
        struct segment *segment = *at;
        if (segment->address != address)
            continue;
        *at = segment->next;
        segment->next = NULL;
        segments_arrive(segment);
        free(segment);
        return true;
    }
    return false;
}

bool segments_crowd(enum direction direction)
{
    size_t share = travelling[direction] ? region_use().size / MOST_SHARE : 1;
    return travelling[direction] >= (share < MOST_BYTES ? share : MOST_BYTES);
}

void segments_enter_worker(void)
{
    travelling[OUTBOUND] = travelling[INBOUND] = 0;
}
