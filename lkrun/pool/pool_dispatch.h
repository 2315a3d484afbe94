/* What runs where next. */
#ifndef LKRUN_POOL_DISPATCH_H
#define LKRUN_POOL_DISPATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <lua.h>
#include "memory/segment.h"
#include "pool/flight.h"
#include "pool/pool_state.h"
#include "value/codec.h"

/* Encodes the value at `index` as a task called `root` and queues it behind the backlog, or on
 * `worker` if there is one. False with a message pushed when it can't be sent. */
bool pool_submit(struct pool *pool, lua_State *L, int index, const char *root,
                 struct flight *flight, struct worker *worker);
/* A worker that should have more tasks, and how many; NULL: none. */
struct worker *pool_hungry(struct pool *pool, uint32_t *count);
void pool_publish(struct worker *worker);
/* As segment_add, but garbage makes room first. */
bool pool_add_segment(struct pool *pool, struct segment **list, enum direction direction,
                      size_t bytes, const char **error);
/* How tensors of tasks and results go through the region. */
struct codec_port pool_port(struct pool *pool);
void pool_feed_backlog(struct pool *pool);
/* Whether so many tasks are out or wait to be delivered that delivering comes first. */
bool pool_has_plenty(const struct pool *pool);
/* A copy of the payload of a flight that is in the worker's ring, for the caller to free; NULL: no
 * memory. */
char *pool_flight_bytes(const struct worker *worker, const struct flight *flight);
/* Takes the newest of a worker's unbegun tasks back to the front of the backlog, all but `keep`. */
void pool_take_back(struct pool *pool, struct worker *worker, uint32_t keep);
/* Takes the task of a future out of the queues; false: it has begun. */
bool pool_recall(struct pool *pool, uint64_t number);

#endif
