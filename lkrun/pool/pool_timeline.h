/* A pool's timeline: what its files note when LK_TRACE or the option `trace` asks for one. Each
 * call stands behind `if (pool->trace)`. */
#ifndef LKRUN_POOL_TIMELINE_H
#define LKRUN_POOL_TIMELINE_H

#include "pool/pool_state.h"
#include "screen/trace.h"

/* Before the workers are made; `where`: of the call that makes the invoker. False: see
 * pool->reason. */
bool pool_trace_open(struct pool *pool, const char *path, const char *where);
void pool_trace_close(struct pool *pool);
/* Lanes in the memory shared with workers: their bytes, behind so many of other things. */
size_t pool_trace_room(const struct pool *pool, size_t *offset);

/* Takes in what the workers noted; now and then it goes to the file. */
void pool_trace_collect(struct pool *pool);
void pool_trace_map(struct pool *pool, bool begins);
/* Control comes from the caller's code, and goes back to it. */
void pool_trace_enter(struct pool *pool);
void pool_trace_leave(struct pool *pool);
void pool_trace_wait(struct pool *pool, uint64_t begun);
void pool_trace_dispatch(struct pool *pool, uint64_t begun, const struct worker *worker,
                         uint64_t count);
void pool_trace_started(struct pool *pool, const struct worker *worker);
/* A worker has ended: `how`, in the task of this flight or NULL. */
void pool_trace_death(struct pool *pool, const struct worker *worker, const char *how,
                      const struct flight *flight, bool again);
/* In place: the task that runs in the host. */
void pool_trace_own(struct pool *pool, uint64_t begun, uint64_t index, bool failed);

#endif
