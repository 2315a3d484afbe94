/* Which worker gets which task, and when. */
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

/* Encodes the value at stack index `index` as a task and puts it on the ring of `worker`, or behind
 * the backlog where that is NULL or has no room. False, with a message pushed that calls the task
 * `root`, when it can't be sent. */
bool pool_submit(struct pool *pool, lua_State *L, int index, const char *root,
                 struct flight *flight, struct worker *worker);
/* A worker that should have more tasks, and how many; NULL: none. */
struct worker *pool_hungry(struct pool *pool, uint32_t *count);
/* Lets the worker begin the tasks that were put on its ring, and wakes it if it sleeps. */
void pool_publish(struct worker *worker);
/* As segment_add, but where the region is full it collects garbage and tries once more. */
bool pool_add_segment(struct pool *pool, struct segment **list, enum direction direction,
                      size_t bytes, const char **error);
/* How tensors of tasks and results go through the region. */
struct codec_port pool_port(struct pool *pool);
/* Hands out tasks of the backlog to hungry workers. */
void pool_feed_backlog(struct pool *pool);
/* Whether so many tasks are with workers, or finished and not delivered, that delivering comes
 * before pulling more. */
bool pool_has_plenty(const struct pool *pool);
/* A copy of the payload of a flight that is in the worker's ring, for the caller to free; NULL: no
 * memory. */
char *pool_flight_bytes(const struct worker *worker, const struct flight *flight);
/* Takes the newest of a worker's unbegun tasks back to the front of the backlog, all but `keep`. */
void pool_take_back(struct pool *pool, struct worker *worker, uint32_t keep);
/* Takes the task of a future out of the queues; false: it has begun. */
bool pool_recall(struct pool *pool, uint64_t number);

#endif
