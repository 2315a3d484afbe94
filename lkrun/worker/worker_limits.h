/* What bounds a task, on the worker's side: a timer, and an allocator that counts what Lua holds.
 * The host's side is pool_limits.c. */
#ifndef LKRUN_WORKER_LIMITS_H
#define LKRUN_WORKER_LIMITS_H

#include <stdbool.h>
#include <lua.h>

#include "worker/task.h"
#include "worker/worker_site.h"

/* To be called in a new worker process, before its first task. */
void limits_enter_worker(struct worker_site *site, lua_State *L);
void limits_begin_task(const struct worker_site *site);
void limits_end_task(const struct worker_site *site, lua_State *L);
/* To be called before and after a task waits for the host: that time does not count as the task's.
 */
void limits_pause(const struct worker_site *site);
void limits_resume(const struct worker_site *site);
/* The task that has just ended ran out of memory: makes that error its result or, where the task
 * may be tried again, ends the worker. */
void limits_report_memory(struct worker_site *site, lua_State *L, const struct task *task);
/* Whether an allocation was ever refused. Such a worker is best replaced: the memory that it freed
 * may not have gone back to the system, and the collection before the error has written into
 * everything that it inherited. */
bool limits_hit_memory(void);

#endif
