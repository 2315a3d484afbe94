/* Decides which worker gets which task, and when.
 *
 * What always holds:
 * - Every task taken from a generator is in exactly one place: the backlog, a worker's flights, or,
 *   finished, with the map (see pool_collect.c). It leaves a worker's flights when its result is
 *   taken in, when it is taken back unbegun, or when its worker died.
 * - A worker's flights are in the order of its task ring: first those finished but not yet taken
 *   in, then at most one begun, then those it may begin, then the `unpublished` ones.
 * - A task's bytes stay in the ring until the worker published its result, and in the backlog until
 *   they are in a ring: the death of a worker loses none.
 * - Work ahead is bounded in time: a worker has at most `window` unbegun tasks. These should take
 *   it 1 ms, or as long as the caller's code lately kept the host away, if that is longer. The
 *   window of a new worker is one task, and it doubles at most when tasks are handed out.
 * - The host never blocks on one worker, and takes results in before it sleeps. */
#include "pool/pool_dispatch.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/channel.h"
#include "base/util.h"
#include "memory/region.h"
#include "memory/region_warm.h"
#include "memory/segment.h"
#include "memory/storage.h"
#include "pool/flight.h"
#include "pool/map_state.h"
#include "pool/pool_state.h"
#include "pool/pool_tokens.h"
#include "value/codec_encode.h"
#include "worker/worker_shared.h"

/* Tasks shorter than this (nanoseconds) take hardly longer than handing them out and delivering
 * them, so not all workers can be busy: they would take turns to sleep, and take the CPUs from each
 * other. So the first worker gets as many tasks as it can do before the next one gets any. */
#define FILLED_BELOW 1000

/* --- handing out --- */

/* Whether the worker is busy and has begun no task for 2 ms, however short tasks were before. */
static bool sits_in_a_task(const struct pool *pool, const struct worker *worker)
{
    return worker_is_busy(worker) && pool->tick > worker->begun_time + 2 * (uint64_t)HORIZON;
}

/* How late this worker may begin a task that it gets now. 0: soon; 1: it did not begin the last
 * ones in time, though it was idle; 2: it is in the middle of a long one. */
static uint32_t reluctance(const struct worker *worker)
{
    return worker->overdue == OVERDUE_IDLE                             ? 1
           : worker->overdue == OVERDUE_BUSY && worker_is_busy(worker) ? 2
                                                                       : 0;
}

struct worker *pool_hungry(struct pool *pool, uint32_t *count)
{
    struct worker *hungriest = NULL;
    uint32_t fewest = UINT32_MAX, lightest = UINT32_MAX;
    bool crowded = segments_crowd(OUTBOUND);
    for (int i = 0; i < pool->work.options.jobs; i++) {
        struct worker *worker = &pool->workers[i];
        if (!worker_is_usable(worker) || !worker_may_run(pool, worker))
            continue;
        uint32_t waiting = worker_unbegun(worker, claim_of(worker));
        /* Where much data is under way, a worker should have no more than one task ahead. */
        bool hungry = crowded ? worker->flights.count < 2
                              : waiting <= worker->window / 2 || worker->flights.count < 2;
        /* The least reluctant worker comes first; among these, the one with the fewest tasks. */
        uint32_t reluctant = reluctance(worker);
        uint32_t load = reluctant * 2 * MAX_WINDOW + waiting + worker_is_busy(worker);
        if (!hungry || load >= lightest || ring_room(&worker->tasks, RING_SIZE / 4) < RING_SIZE / 4)
            continue;
        lightest = load;
        fewest = waiting;
        hungriest = worker;
        if (pool->mean > 0 && pool->mean < FILLED_BELOW && !reluctant &&
            !sits_in_a_task(pool, worker))
            break;
    }
    if (!hungriest)
        return NULL;
    uint32_t window = hungriest->window;
    double fits = pool->mean > 0 ? fmax((double)pool->caller_time, HORIZON) / pool->mean : 1;
    uint32_t ahead = (uint32_t)fmin(fmax(fits, 1), MAX_WINDOW);
    if (hungriest->tasks_done || hungriest->committed)
        window *= 2;
    hungriest->window = window < ahead ? window : ahead;
    *count = hungriest->window > fewest ? hungriest->window - fewest : 1;
    /* In portions, so that other hungry workers do not wait until this one has all its tasks. */
    if (*count > hungriest->window / 4 + 1)
        *count = hungriest->window / 4 + 1;
    return hungriest;
}

void pool_publish(struct worker *worker)
{
    if (!worker->unpublished)
        return;
    ring_publish(&worker->tasks);
    uint64_t claim = atomic_load_explicit(&worker->shared->claim, memory_order_relaxed), next;
    if (claim_begun(claim) == claim_limit(claim))
        worker->given_time = clock_coarse();
    do {
        next =
            (claim & ~(uint64_t)UINT32_MAX) | (uint32_t)(claim_limit(claim) + worker->unpublished);
    } while (!atomic_compare_exchange_weak_explicit(&worker->shared->claim, &claim, next,
                                                    memory_order_acq_rel, memory_order_relaxed));
    worker->unpublished = 0;
    doorbell_ring(&worker->shared->bell, worker->bell_fd);
}

bool pool_add_segment(struct pool *pool, struct segment **list, enum direction direction,
                      size_t bytes, const char **error)
{
    if (segment_add(list, direction, bytes, error))
        return true;
    lua_gc(pool->L, LUA_GCCOLLECT);
    return segment_add(list, direction, bytes, error);
}

static void *place_tensor(void *context, size_t bytes, uint64_t *handle, const char **error)
{
    struct pool *pool = context;
    if (!pool_add_segment(pool, &pool->task_segments, OUTBOUND, bytes, error))
        return NULL;
    *handle = region_handle(pool->task_segments->address);
    region_warm(pool->task_segments->address, *handle, bytes);
    return pool->task_segments->address;
}

/* Frees the segment of a tensor that came with a result; it was granted to the worker, and became
 * the tensor's when the result was decoded. */
static void release_result(struct storage *storage)
{
    /* Does nothing in a process that only inherited the segment. */
    region_free(storage->data);
}

static struct storage *fetch_tensor(void *context, uint64_t handle, size_t bytes,
                                    const char **error)
{
    struct pool *pool = context;
    void *address = region_resolve_own(handle, bytes);
    *error = "a tensor outside the region";
    if (!address || !pool->result_segments || !segment_take(pool->result_segments, address))
        return NULL;
    struct storage *storage = storage_wrap(address, bytes, release_result, NULL, handle);
    if (!storage) {
        region_free(address);
        *error = "out of memory";
    }
    return storage;
}

struct codec_port pool_port(struct pool *pool)
{
    return (struct codec_port){pool, place_tensor, fetch_tensor};
}

/* Moves a payload larger than a quarter of the ring into the region; what stays is a struct
 * indirect that says where it is. */
static bool make_indirect(struct pool *pool, struct flight *flight, struct buffer *bytes,
                          const char **error)
{
    struct indirect indirect = {0, bytes->length};
    void *room = place_tensor(pool, bytes->length, &indirect.handle, error);
    if (!room)
        return false;
    memcpy(room, bytes->data, bytes->length);
    memcpy(bytes->data, &indirect, sizeof indirect);
    bytes->length = sizeof indirect;
    flight->kind = TASK_INDIRECT;
    return true;
}

/* Puts a flight on a worker's ring; false when there is no room now. */
static bool put_on_ring(struct worker *worker, struct flight *flight, const char *bytes)
{
    size_t whole = frame_long_size(flight->length);
    if (ring_room(&worker->tasks, whole) < whole)
        return false;
    flight->offset = (uint32_t)worker->tasks.at;
    if (!flights_push(&worker->flights, flight))
        return false;
    char *place = ring_frame(&worker->tasks, flight->kind, flight->is_future ? TASK_IS_FUTURE : 0,
                             flight->length, flight->index);
    memcpy(place, bytes, flight->length);
    ring_advance(&worker->tasks, whole);
    worker->unpublished++;
    if (!flight->is_future)
        worker->next_index = flight->index + 1;
    return true;
}

/* Notes in the task's slot, if it has one, where it is: with the worker, or NULL: in the backlog. */
static void note_place(struct pool *pool, const struct flight *flight, const struct worker *worker)
{
    struct map *map = pool->map;
    if (!map || !map->slots || flight->is_future || flight->is_dropped)
        return;
    struct task_slot *slot = &map->slots[flight->index & (map->capacity - 1)];
    slot->state = worker ? SLOT_AT_WORKER : SLOT_QUEUED;
    slot->worker = worker ? (uint16_t)(worker - pool->workers) : 0;
}

bool pool_submit(struct pool *pool, lua_State *L, int index, const char *root,
                 struct flight *flight, struct worker *worker)
{
    /* Encoding a task runs no code that could submit another. */
    struct buffer *bytes = &pool->encoding;
    bytes->length = 0;
    struct codec_port port = pool_port(pool);
    flight->kind = TASK_VALUE;
    const char *error = NULL;
    if (!codec_encode(L, index, 1, root, &port, bytes)) {
        segments_free(&pool->task_segments);
        return false;
    }
    pool->bytes_out += bytes->length;
    if (bytes->length > RING_SIZE / 4 && !make_indirect(pool, flight, bytes, &error)) {
        segments_free(&pool->task_segments);
        lua_pushfstring(L, "%s: %s", root, error);
        return false;
    }
    flight->length = (uint32_t)bytes->length;
    flight->segments = pool->task_segments;
    pool->task_segments = NULL;
    if (worker && put_on_ring(worker, flight, bytes->data)) {
        note_place(pool, flight, worker);
        return true;
    }
    flight->bytes = malloc(bytes->length + 1);
    if (flight->bytes)
        memcpy(flight->bytes, bytes->data, bytes->length);
    if (!flight->bytes || !flights_push(&pool->backlog, flight)) {
        flight_discard(flight);
        lua_pushfstring(L, "%s: out of memory", root);
        return false;
    }
    note_place(pool, flight, NULL);
    return true;
}

void pool_feed_backlog(struct pool *pool)
{
    uint32_t count;
    struct worker *worker;
    while (pool->backlog.count && (worker = pool_hungry(pool, &count))) {
        for (; count && pool->backlog.count; count--) {
            struct flight flight = flights_pop(&pool->backlog);
            char *bytes = flight.bytes;
            flight.bytes = NULL;
            if (!put_on_ring(worker, &flight, bytes)) {
                flight.bytes = bytes;
                flights_push_front(&pool->backlog, &flight);
                pool_publish(worker);
                return;
            }
            free(bytes);
            note_place(pool, &flight, worker);
        }
        pool_publish(worker);
    }
}

bool pool_has_plenty(const struct pool *pool)
{
    uint64_t ahead = 0;
    for (int i = 0; i < pool->work.options.jobs; i++)
        ahead += pool->workers[i].window;
    return pool->map->pulled - pool->map->delivered > ahead + ahead / 2;
}

/* --- taking back --- */

char *pool_flight_bytes(const struct worker *worker, const struct flight *flight)
{
    size_t place = flight->offset & (worker->tasks.size - 1);
    const struct frame *frame = (const struct frame *)(const void *)(worker->tasks.data + place);
    char *bytes = malloc(flight->length + 1u);
    if (bytes)
        memcpy(bytes, frame_bytes(frame), flight->length);
    return bytes;
}

/* Takes the newest of a worker's unbegun tasks back to the front of the backlog, all but `keep`. */
void pool_take_back(struct pool *pool, struct worker *worker, uint32_t keep)
{
    pool_publish(worker);
    uint64_t claim = claim_of(worker), next;
    uint32_t count;
    do {
        count = claim_limit(claim) - claim_begun(claim);
        if (count <= keep)
            return;
        count -= keep;
        next = (claim & ~(uint64_t)UINT32_MAX) | (uint32_t)(claim_limit(claim) - count);
    } while (!atomic_compare_exchange_weak_explicit(&worker->shared->claim, &claim, next,
                                                    memory_order_acq_rel, memory_order_acquire));
    for (; count; count--) {
        struct flight flight = *flights_at(&worker->flights, worker->flights.count - 1);
        flight.bytes = pool_flight_bytes(worker, &flight);
        if (!flight.bytes || !flights_push_front(&pool->backlog, &flight)) {
            free(flight.bytes); /* without memory the other tasks stay with the worker */
            worker->unpublished = count;
            pool_publish(worker);
            return;
        }
        flights_pop_last(&worker->flights);
        /* Back to where its frame starts; the offset is that place modulo 2^32. */
        worker->tasks.at -= (uint32_t)worker->tasks.at - flight.offset;
        worker->next_index = 0;
        note_place(pool, &flight, NULL);
    }
}

bool pool_recall(struct pool *pool, uint64_t number)
{
    for (int i = 0; i < pool->work.options.jobs; i++)
        for (uint32_t k = 0; k < pool->workers[i].flights.count; k++) {
            const struct flight *flight = flights_at(&pool->workers[i].flights, k);
            if (flight->is_future && flight->index == number)
                pool_take_back(pool, &pool->workers[i], 0);
        }
    bool found = false;
    for (uint32_t k = pool->backlog.count; k; k--) {
        struct flight flight = flights_pop(&pool->backlog);
        if (flight.is_future && flight.index == number) {
            flight_discard(&flight);
            found = true;
        } else {
            flights_push(&pool->backlog, &flight);
        }
    }
    pool_feed_backlog(pool);
    return found;
}
