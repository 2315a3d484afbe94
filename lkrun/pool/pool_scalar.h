/* The common case, in which a task and its result are each one scalar: they go straight between
 * Lua's stack and the rings. Inline, because a loop over a million tasks does little else. */
#ifndef LKRUN_POOL_SCALAR_H
#define LKRUN_POOL_SCALAR_H

#include "pool/map_state.h"
#include "pool/pool_collect.h"
#include "pool/pool_state.h"
#include "value/codec_scalar.h"

/* Puts the value at `index` straight onto the worker's ring, as task `task` of the map, which has
 * room for its result. False, with nothing done, where pool_submit is needed: for anything but a
 * scalar. */
static inline bool pool_submit_scalar(struct pool *pool, lua_State *L, int index, uint64_t task,
                                      struct worker *worker)
{
    struct ring *ring = &worker->tasks;
    const size_t most = frame_long_size(CODEC_SCALAR_MAX);
    if (task != worker->next_index || ring_room(ring, most) < most)
        return false;
    char *bytes = ring_short_place(ring);
    size_t length = codec_put(L, index, bytes);
    if (!length || *(const unsigned char *)bytes == CODEC_NIL)
        return false; /* nil is no task; queue_task in map_pull.c makes the error */
    struct flight *flight = flights_new(&worker->flights);
    if (!flight)
        return false;
    *flight = (struct flight){.index = task,
                              .offset = (uint32_t)ring->at,
                              .length = (uint32_t)length,
                              .kind = TASK_VALUE};
    ring_fetch_to_write(ring);
    ring_short_frame(ring, TASK_VALUE, 0, length);
    ring_advance(ring, frame_short_size(length));
    worker->next_index = task + 1;
    worker->unpublished++;
    pool->bytes_out += length;
    struct map *map = pool->map;
    if (map->slots)
        map->slots[task & (map->capacity - 1)] = (struct task_slot){
            .state = SLOT_AT_WORKER, .worker = (uint16_t)(worker - pool->workers)};
    return true;
}

/* If the next result of an ordered map is a single scalar on its worker's ring, pushes its index
 * and the result and takes it off the ring. False, with nothing done, where pool_next is needed. */
static inline bool pool_deliver_scalar(struct pool *pool, struct map *map, lua_State *L)
{
    if (!map->slots || map->delivered == map->pulled)
        return false;
    uint64_t index = map->delivered + 1 + map->shift;
    const struct task_slot *slot = &map->slots[index & (map->capacity - 1)];
    if (slot->state != SLOT_AT_WORKER)
        return false;
    struct worker *worker = &pool->workers[slot->worker];
    const struct frame *frame = ring_peek(&worker->results);
    if (!frame || frame->kind != RESULT_VALUES || frame->flags || frame_is_long(frame) ||
        worker->grants)
        return false;
    const struct flight *flight = flights_at(&worker->flights, 0);
    if (flight->index != index || flight->is_future || flight->is_dropped || flight->segments)
        return false;
    struct ring *ring = &worker->results;
    if (ring->seen - ring->at > RING_AHEAD)
        ring_fetch_to_read(ring);
    lua_pushinteger(L, (lua_Integer)index);
    pool->delivering = true; /* codec_get may allocate a string, and then a finalizer may run */
    size_t taken = codec_get(L, frame_bytes(frame), frame->brief);
    pool->delivering = false;
    if (taken != frame->brief || !taken) {
        lua_pop(L, 1 + (taken != 0));
        return false;
    }
    pool->bytes_in += taken;
    flights_drop(&worker->flights);
    worker->committed++;
    worker->tasks_done++;
    pool_take_frame(worker, frame);
    map->delivered++;
    return true;
}

#endif
