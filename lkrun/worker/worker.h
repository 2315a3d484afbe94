/* What a worker does, whether it is a process or a thread. */
#ifndef LKRUN_WORKER_H
#define LKRUN_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <lua.h>

#include "worker/worker_site.h"

struct storage;

/* Makes the struct of the worker in this place, which the eventfd `bell_fd` wakes; NULL: no memory.
 * The storage of task tensors points to it, so it is never moved. */
struct worker_site *worker_open_site(const struct workplace *workplace, int place, int bell_fd);
/* Runs tasks until the host says stop. L's stack is func and model. */
void worker_serve(struct worker_site *site, lua_State *L);
/* Whether the storage belongs to a task's tensor: only the worker that was sent it may hold it. */
bool worker_storage_is_lent(const struct storage *storage);
/* Sends a frame to the host, in pieces where it is large, and waits for room on the ring. */
void worker_post(struct worker_site *site, uint8_t kind, uint8_t flags, const char *bytes,
                 size_t length);
/* Flushes the output of this process and ends it, without running the exit handlers of the host. */
_Noreturn void worker_leave(int status);

#endif
