/* Takes results from the rings of the workers.
 *
 * What always holds:
 * - Results come off a worker's ring in the order of its flights; a log record or output of a task
 *   is shown before its result goes anywhere.
 * - The result that is due next is decoded where it lies, in the ring; any other that is taken off
 *   the ring before it is due is copied to its slot (ordered) or to the ready list (unordered).
 * - Each result is handed on once: taking it off the ring and out of the flights is one step.
 */
#include "pool/pool_collect.h"

#include <stdlib.h>
#include <string.h>

#include "base/channel.h"
#include "base/util.h"
#include "memory/region.h"
#include "memory/segment.h"
#include "pool/flight.h"
#include "pool/map_state.h"
#include "pool/pool_output.h"
#include "pool/pool_result.h"
#include "pool/pool_state.h"
#include "worker/worker_reports.h"
#include "worker/worker_shared.h"

void pool_release_results(struct worker *worker)
{
    if (worker->released == worker->results.at)
        return;
    worker->released = worker->results.at;
    ring_release(&worker->results);
    doorbell_ring(&worker->shared->bell, worker->bell_fd);
}

/* The worker's result for its oldest flight is in: takes the flight off the queue. The worker may
 * still use the tensors of the task, so their segments are kept until it says otherwise. */
static void settle_flight(struct worker *worker)
{
    struct flight flight = flights_pop(&worker->flights);
    /* The segment that was added last has the task's encoded bytes, which nobody needs any more. */
    if (flight.kind == TASK_INDIRECT) {
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
        *last = worker->lent;
        worker->lent = flight.segments;
        flight.segments = NULL;
    }
    worker->committed++;
    worker->tasks_done++;
}

/* Frees the task tensors with these handles, which the worker has let go. */
static void free_held(struct worker *worker, const char *bytes, size_t length)
{
    for (size_t i = 0; i + sizeof(uint64_t) <= length; i += sizeof(uint64_t)) {
        uint64_t handle;
        memcpy(&handle, bytes + i, sizeof handle);
        void *address = region_resolve_own(handle, 0);
        if (segment_take(&worker->lent, address))
            region_free(address);
    }
}

/* Takes in a frame that is not a result. */
static void take_news(struct pool *pool, struct worker *worker, const struct frame *frame)
{
    int number = (int)(worker - pool->workers) + 1;
    const char *bytes = frame_bytes(frame);
    size_t length = frame_length(frame);
    if (worker->partial_frame.length && frame->kind != RESULT_PART) {
        buffer_append(&worker->partial_frame, bytes, length);
        bytes = worker->partial_frame.data;
        length = worker->partial_frame.length;
    }
    if (frame->kind == RESULT_PART)
        buffer_append(&worker->partial_frame, bytes, length);
    else if (frame->kind == RESULT_LOG)
        reports_show_log(bytes, length, number, frame->index);
    else if (frame->kind == RESULT_PROGRESS)
        reports_show_progress(bytes, length, number);
    else if (frame->kind == RESULT_OUTPUT)
        pool_pass_output(worker, frame->flags, bytes, length);
    else if (frame->kind == RESULT_FREED)
        free_held(worker, bytes, length);
    if (frame->kind != RESULT_PART)
        worker->partial_frame.length = 0;
    pool_take_frame(worker, frame);
}

/* Takes the segments that were granted for the worker's result number `tag`, or for results before
 * it. */
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

/* The outcome in this frame, which is the worker's next result. */
static struct outcome outcome_of(struct pool *pool, struct worker *worker,
                                 const struct frame *frame)
{
    struct outcome outcome = {
        .index = flights_at(&worker->flights, 0)->index,
        .worker = (int)(worker - pool->workers) + 1,
        .kind = frame->kind,
        .bytes = frame_bytes(frame),
        .length = frame_length(frame),
        .ring_of = worker,
        .segments = worker->grants ? take_grants(worker, worker->committed + 1) : NULL,
    };
    if (worker->partial_frame.length) {
        buffer_append(&worker->partial_frame, outcome.bytes, outcome.length);
        outcome.bytes = worker->partial_frame.data;
        outcome.length = worker->partial_frame.length;
    }
    pool->bytes_in += outcome.length;
    return outcome;
}

/* Takes the result of the worker's oldest flight, which has been used or copied, off the ring. */
static void finish_in_ring(struct worker *worker)
{
    settle_flight(worker);
    worker->partial_frame.length = 0;
    pool_take_frame(worker, (const struct frame *)(const void *)ring_place(&worker->results));
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
        finish_in_ring(worker);
    }
    return NULL;
}

static bool next_ordered(struct pool *pool, struct map *map, struct outcome *outcome)
{
    uint64_t index = map->delivered + 1 + map->shift;
    struct task_slot *slot = &map->slots[index & (map->capacity - 1)];
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
    struct waiting_result *result = slot->result;
    *outcome = (struct outcome){.index = index,
                                .worker = slot->worker,
                                .kind = slot->kind,
                                .bytes = result ? result->bytes : NULL,
                                .length = result ? result->length : 0,
                                .owned = (char *)result,
                                .segments = result ? result->segments : NULL};
    *slot = (struct task_slot){0};
    return true;
}

static bool next_unordered(struct pool *pool, struct map *map, struct outcome *outcome)
{
    if (map->ready_count) {
        *outcome = map->ready[map->ready_first];
        map->ready_first = (map->ready_first + 1) & (map->capacity - 1);
        map->ready_count--;
        return true;
    }
    for (int i = 0; i < pool->work.options.jobs; i++) {
        struct worker *worker = &pool->workers[i];
        const struct frame *frame = pool_drain(pool, worker, ANY_TASK);
        if (frame) {
            *outcome = outcome_of(pool, worker, frame);
            return true;
        }
    }
    return false;
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
        finish_in_ring(outcome->ring_of);
    } else {
        pool->stored_bytes -= outcome->length;
        free(outcome->owned);
    }
}
