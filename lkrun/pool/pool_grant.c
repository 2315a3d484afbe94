/* The host owns the region, so a worker asks for room for each large tensor of a result. Room is
 * refused only where nothing can free any: neither garbage nor the delivery of other results. */
#include "pool/pool_grant.h"

#include "base/channel.h"
#include "memory/region.h"
#include "memory/segment.h"
#include "pool/flight.h"
#include "pool/map_state.h"
#include "pool/pool_dispatch.h"
#include "pool/pool_limits.h"
#include "pool/pool_state.h"
#include "worker/worker_shared.h"

/* Whether the result that this worker is making can wait until results before it are delivered,
 * which gives their room back. */
static bool delivery_makes_room(struct pool *pool, const struct worker *worker)
{
    const struct map *map = pool->map;
    /* The place of its task among its flights: those before it are finished and not taken in. */
    uint32_t running = claim_begun(claim_of(worker)) - worker->committed - 1;
    if (!map || pool->future_awaited || running >= worker->flights.count)
        return false;
    const struct flight *flight = flights_at(&worker->flights, running);
    if (flight->is_future || flight->is_dropped || map->delivered == map->pulled)
        return false;
    if (map->slots) {
        const struct task_slot *due =
            &map->slots[(map->delivered + 1 + map->shift) & (map->capacity - 1)];
        return due->state == SLOT_STORED ||
               (due->state == SLOT_AT_WORKER && due->worker != worker - pool->workers);
    }
    bool some = map->ready_count > 0;
    for (int i = 0; i < pool->work.options.jobs && !some; i++)
        some = ring_peek(&pool->workers[i].results) != NULL;
    return some;
}

void pool_grant_room(struct pool *pool, struct worker *worker)
{
    struct worker_shared *shared = worker->shared;
    worker->grant_deferred = false;
    if (atomic_load_explicit(&shared->granted, memory_order_acquire))
        return;
    uint64_t asked = atomic_load_explicit(&shared->asked, memory_order_acquire);
    if (!asked || !pool_may_grant(pool, worker, asked))
        return;
    const char *error;
    bool others_first = delivery_makes_room(pool, worker);
    /* A worker that holds no grant may have one more, however crowded the region is: it can then go
     * on, and its result can be delivered. */
    worker->grant_deferred = others_first && worker->grants && segments_crowd(INBOUND);
    if (worker->grant_deferred)
        return;
    uint64_t answer = GRANT_REFUSED;
    bool granted = others_first ? segment_add(&worker->grants, INBOUND, asked, &error)
                                : pool_add_segment(pool, &worker->grants, INBOUND, asked, &error);
    if (granted) {
        worker->grants->tag = claim_begun(claim_of(worker));
        answer = region_handle(worker->grants->address) + 1; /* 0 means that there is no answer */
    } else if (others_first) {
        worker->grant_deferred = true;
        return;
    }
    atomic_store_explicit(&shared->granted, answer, memory_order_release);
    doorbell_ring(&shared->bell, worker->bell_fd);
}
