/* Takes results from the rings of the workers. */
#ifndef LKRUN_POOL_COLLECT_H
#define LKRUN_POOL_COLLECT_H

#include <stdbool.h>
#include <stdint.h>
#include "pool/map_state.h"
#include "pool/pool_state.h"

/* The next result of the map, if it is in. outcome_finish gives its bytes back. */
bool pool_next(struct pool *pool, struct outcome *outcome);
void outcome_finish(struct pool *pool, struct outcome *outcome);
/* Takes in what a worker has published, up to the result of task `want` of the map (ANY_TASK: of
 * any task of the map; 0: of none), and gives the frame of that result, still on the ring; NULL:
 * there is none. */
#define ANY_TASK UINT64_MAX
const struct frame *pool_drain(struct pool *pool, struct worker *worker, uint64_t want);
/* Gives the room of the results that were read back to the worker, which may be waiting for it. */
void pool_release_results(struct worker *worker);
/* Takes the first frame, which has been read, off the ring of results. */
static inline void pool_take_frame(struct worker *worker, const struct frame *frame)
{
    ring_take(&worker->results, frame);
    if (worker->results.at - worker->released > RING_SIZE / 8)
        pool_release_results(worker);
}

#endif
