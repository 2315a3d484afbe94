/* Results in.
 *
 * What always holds:
 * - Results come off a worker's ring in the order of its flights; a log record or output of a task
 *   is shown before its result goes anywhere.
 * - The result that is due next is decoded where it lies, in the ring; any other that has to make
 *   room is copied to its slot (ordered) or to the ready list (unordered).
 * - Each result is handed on once: taking it off the ring and out of the flights is one step.
 */
#include "pool.h"

#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "region.h"
#include "worker_sinks.h"

void pool_release_results(struct worker *worker)
{
    if (worker->released == worker->results.at)
        return;
    worker->released = worker->results.at;
    ring_release(&worker->results);
    doorbell_ring(&worker->shared->bell, worker->bell_fd);
}

static void take_frame(struct worker *worker, const struct frame *frame)
{
    ring_take(&worker->results, frame);
    if (worker->results.at - worker->released > RING_SIZE / 8)
        pool_release_results(worker);
}

static void count_result(struct pool *pool, struct worker *worker)
{
    worker->committed++;
    worker->tasks_done++;
    pool->done++;
}

/* The worker's result for its oldest flight is in: takes that flight. Its tensors may still be in
 * use over there. */
static struct flight settle_flight(struct pool *pool, struct worker *worker)
{
    struct flight flight = flights_pop(&worker->flights);
    if (flight.kind == TASK_INDIRECT) { /* its own bytes, placed last: they were decoded */
        struct segment *bytes = flight.segments;
        flight.segments = bytes->next;
        bytes->next = NULL;
        segments_free(&bytes);
    }
    struct segment **last = &flight.segments;
    if (*last) {
        segments_arrive(*last);
        while (*last)
            last = &(*last)->next;
        *last = worker->held;
        worker->held = flight.segments;
        flight.segments = NULL;
    }
    count_result(pool, worker);
    return flight;
}

static void free_held(struct worker *worker, const char *bytes, size_t length)
{
    for (size_t i = 0; i + sizeof(uint64_t) <= length; i += sizeof(uint64_t)) {
        uint64_t handle;
        memcpy(&handle, bytes + i, sizeof handle);
        void *address = region_resolve_own(handle, 0);
        if (segment_take(&worker->held, address))
            region_free(address);
    }
}

void pool_log_seed(struct pool *pool)
{
    if (pool->seed_logged)
        return;
    pool->seed_logged = true;
    if (!pool->options.seed_given)
        log_message(LOG_LEVEL_INFO,
                    "tasks draw random numbers from the root seed %lld (seed = repeats them)",
                    (long long)pool->options.seed);
}

static bool store_ready(struct map *map, const struct outcome *outcome)
{
    if (map->ready_count == map->ready_capacity) {
        size_t capacity = map->ready_capacity ? map->ready_capacity * 2 : 64;
        struct outcome *ready = malloc(capacity * sizeof *ready);
        if (!ready)
            return false;
        for (size_t i = 0; i < map->ready_count; i++)
            ready[i] = map->ready[(map->ready_first + i) % map->ready_capacity];
        free(map->ready);
        map->ready = ready;
        map->ready_capacity = capacity;
        map->ready_first = 0;
    }
    map->ready[(map->ready_first + map->ready_count++) % map->ready_capacity] = *outcome;
    return true;
}

void pool_store(struct pool *pool, const struct flight *flight, struct outcome *outcome)
{
    if (flight->is_future) {
        pool_settle(pool, outcome);
        return;
    }
    struct map *map = pool->map;
    if (!map || flight->is_dropped) {
        segments_free(&outcome->segments);
        return;
    }
    char *copy = malloc(outcome->length + 1);
    if (!copy) /* an empty error says: no memory */
        outcome->kind = RESULT_ERROR, outcome->length = 0;
    else
        memcpy(copy, outcome->bytes, outcome->length);
    pool->stored_bytes += outcome->length;
    if (map->slots) {
        struct slot *slot = &map->slots[flight->index & (map->capacity - 1)];
        *slot = (struct slot){SLOT_STORED, (uint16_t)outcome->worker, outcome->kind,
                              copy,        outcome->length,           outcome->segments};
        return;
    }
    struct outcome stored = *outcome;
    stored.ring_of = NULL;
    stored.bytes = stored.owned = copy;
    if (!store_ready(map, &stored)) {
        free(copy);
        segments_free(&stored.segments);
    }
}

/* Frames that are not results. */
static void take_news(struct pool *pool, struct worker *worker, const struct frame *frame)
{
    int number = (int)(worker - pool->workers) + 1;
    const char *bytes = (const char *)(frame + 1);
    size_t length = frame->length;
    if (worker->partial.length && frame->kind != RESULT_PART) {
        buffer_append(&worker->partial, bytes, length);
        bytes = worker->partial.data;
        length = worker->partial.length;
    }
    if (frame->kind == RESULT_PART)
        buffer_append(&worker->partial, bytes, length);
    else if (frame->kind == RESULT_LOG)
        sinks_show_log(bytes, length, number, frame->index);
    else if (frame->kind == RESULT_PROGRESS)
        sinks_show_progress(bytes, length, number);
    else if (frame->kind == RESULT_OUTPUT)
        pool_pass_output(worker, frame->flags, bytes, length);
    else if (frame->kind == RESULT_FREED)
        free_held(worker, bytes, length);
    if (frame->kind != RESULT_PART)
        worker->partial.length = 0;
    take_frame(worker, frame);
}

/* What was granted for the worker's result number `tag`, or for one before it. */
static struct segment *take_grants(struct worker *worker, uint32_t tag)
{
    struct segment *taken = NULL;
    for (struct segment **at = &worker->grants; *at;) {
        struct segment *segment = *at;
        if ((int32_t)(segment->tag - tag) > 0) {
            at = &segment->next;
            continue;
        }
        *at = segment->next;
        segment->next = taken;
        taken = segment;
    }
    return taken;
}

/* The result in this frame, the worker's next. */
static struct outcome outcome_of(struct pool *pool, struct worker *worker,
                                 const struct frame *frame)
{
    struct outcome outcome = {
        .index = flights_at(&worker->flights, 0)->index,
        .worker = (int)(worker - pool->workers) + 1,
        .kind = frame->kind,
        .bytes = (const char *)(frame + 1),
        .length = frame->length,
        .ring_of = worker,
        .segments = worker->grants ? take_grants(worker, worker->committed + 1) : NULL,
    };
    if (worker->partial.length) {
        buffer_append(&worker->partial, outcome.bytes, outcome.length);
        outcome.bytes = worker->partial.data;
        outcome.length = worker->partial.length;
    }
    pool->bytes_in += outcome.length;
    return outcome;
}

static void finish_in_ring(struct pool *pool, struct worker *worker)
{
    settle_flight(pool, worker);
    worker->partial.length = 0;
    take_frame(worker, (const struct frame *)(const void *)ring_place(&worker->results));
}

const struct frame *pool_drain(struct pool *pool, struct worker *worker, uint64_t want)
{
    const struct frame *frame;
    while ((frame = ring_peek(&worker->results))) {
        if (frame->kind != RESULT_VALUES && frame->kind != RESULT_ERROR) {
            take_news(pool, worker, frame);
            continue;
        }
        if (frame->flags & RESULT_PRINTED)
            pool_read_output(worker);
        if (frame->flags & RESULT_DREW)
            pool_log_seed(pool);
        struct flight flight = *flights_at(&worker->flights, 0);
        if (want && pool->map && !flight.is_future && !flight.is_dropped &&
            (want == ANY_TASK || want == flight.index))
            return frame;
        struct outcome outcome = outcome_of(pool, worker, frame);
        pool_store(pool, &flight, &outcome);
        finish_in_ring(pool, worker);
    }
    return NULL;
}

static bool next_ordered(struct pool *pool, struct map *map, struct outcome *outcome)
{
    uint64_t index = map->delivered + 1 + map->shift;
    struct slot *slot = &map->slots[index & (map->capacity - 1)];
    if (slot->state == SLOT_AT_WORKER) {
        struct worker *worker = &pool->workers[slot->worker];
        const struct frame *frame = pool_drain(pool, worker, index);
        if (frame) {
            *outcome = outcome_of(pool, worker, frame);
            return true;
        }
    }
    if (slot->state != SLOT_STORED)
        return false;
    *outcome = (struct outcome){.index = index,
                                .worker = slot->worker,
                                .kind = slot->kind,
                                .bytes = slot->bytes,
                                .length = slot->length,
                                .owned = slot->bytes,
                                .segments = slot->segments};
    *slot = (struct slot){0};
    return true;
}

static bool next_unordered(struct pool *pool, struct map *map, struct outcome *outcome)
{
    if (map->ready_count) {
        *outcome = map->ready[map->ready_first];
        map->ready_first = (map->ready_first + 1) % map->ready_capacity;
        map->ready_count--;
        return true;
    }
    for (int i = 0; i < pool->options.jobs; i++) {
        struct worker *worker = &pool->workers[i];
        const struct frame *frame = pool_drain(pool, worker, ANY_TASK);
        if (frame) {
            *outcome = outcome_of(pool, worker, frame);
            return true;
        }
    }
    return false;
}

bool pool_deliver_scalar(struct pool *pool, lua_State *L)
{
    struct map *map = pool->map;
    if (!map->slots || map->delivered == map->pulled)
        return false;
    uint64_t index = map->delivered + 1 + map->shift;
    const struct slot *slot = &map->slots[index & (map->capacity - 1)];
    if (slot->state != SLOT_AT_WORKER)
        return false;
    struct worker *worker = &pool->workers[slot->worker];
    const struct frame *frame = ring_peek(&worker->results);
    if (!frame || frame->kind != RESULT_VALUES || frame->flags || worker->partial.length)
        return false;
    const struct flight *flight = flights_at(&worker->flights, 0);
    if (flight->index != index || flight->is_future || flight->is_dropped || flight->segments ||
        worker->grants)
        return false;
    ring_fetch_ahead(&worker->results, false);
    lua_pushinteger(L, (lua_Integer)index);
    pool->delivering = true; /* a string is allocated, and a finalizer may run */
    size_t taken = codec_get(L, (const char *)(frame + 1), frame->length);
    pool->delivering = false;
    if (!taken || taken != frame->length) {
        lua_pop(L, 1 + (taken != 0));
        return false;
    }
    pool->bytes_in += taken;
    worker->flights.first = (worker->flights.first + 1) & (worker->flights.capacity - 1);
    worker->flights.count--;
    count_result(pool, worker);
    take_frame(worker, frame);
    map->delivered++;
    return true;
}

bool pool_next(struct pool *pool, struct outcome *outcome)
{
    struct map *map = pool->map;
    if (map->delivered == map->pulled)
        return false;
    return map->slots ? next_ordered(pool, map, outcome) : next_unordered(pool, map, outcome);
}

void outcome_finish(struct pool *pool, struct outcome *outcome)
{
    segments_free(&outcome->segments);
    if (outcome->ring_of) {
        finish_in_ring(pool, outcome->ring_of);
    } else {
        pool->stored_bytes -= outcome->length;
        free(outcome->owned);
    }
}

void pool_clear_map(struct pool *pool, struct map *map)
{
    for (uint64_t i = map->delivered + 1; map->slots && i <= map->pulled; i++) {
        struct slot *slot = &map->slots[(i + map->shift) & (map->capacity - 1)];
        if (slot->state != SLOT_STORED)
            continue;
        free(slot->bytes);
        segments_free(&slot->segments);
    }
    for (size_t i = 0; i < map->ready_count; i++) {
        struct outcome *outcome = &map->ready[(map->ready_first + i) % map->ready_capacity];
        free(outcome->owned);
        segments_free(&outcome->segments);
    }
    free(map->slots);
    free(map->ready);
    map->slots = NULL;
    map->ready = NULL;
    map->ready_count = 0;
    pool->stored_bytes = 0;
}
