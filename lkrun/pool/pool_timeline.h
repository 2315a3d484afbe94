/* A pool's timeline: what its files note when LK_TRACE or the option `trace` asks for one. Each
 * call stands behind `if (pool->trace)`. */
#ifndef LKRUN_POOL_TIMELINE_H
#define LKRUN_POOL_TIMELINE_H

#include "pool/pool_state.h"
#include "screen/trace.h"

/* Opens the timeline, before the workers are made; `where` is the line of the program that makes
 * the invoker. False: see pool->reason. */
bool pool_trace_open(struct pool *pool, const char *path, const char *where);
void pool_trace_close(struct pool *pool);
/* How many bytes the lanes of all workers take in the memory that is shared with them, and at which
 * offset from its start they lie. A lane has what one worker notes, see screen/trace.h. */
size_t pool_trace_room(const struct pool *pool, size_t *offset);

/* Takes in what the workers noted in their lanes, and writes it to the file now and then. */
void pool_trace_collect(struct pool *pool);
void pool_trace_map(struct pool *pool, bool begins);
/* To be called when control comes from the caller's code, and when it goes back there. */
void pool_trace_enter(struct pool *pool);
void pool_trace_leave(struct pool *pool);
void pool_trace_wait(struct pool *pool, uint64_t begun);
void pool_trace_dispatch(struct pool *pool, uint64_t begun, const struct worker *worker,
                         uint64_t count);
void pool_trace_started(struct pool *pool, const struct worker *worker);
/* Notes that a worker has ended, and how. `flight`: the task that it ran, or NULL; `again`: that
 * task will be tried again. */
void pool_trace_death(struct pool *pool, const struct worker *worker, const char *how,
                      const struct flight *flight, bool again);
/* Notes a task that ran in place. */
void pool_trace_own(struct pool *pool, uint64_t begun, uint64_t index, bool failed);

#endif
