/* A worker that is a process, forked or spawned. */
#ifndef LKRUN_WORKER_PROCESS_H
#define LKRUN_WORKER_PROCESS_H

#include <lua.h>

#include "worker/workplace.h"

/* Makes this process a worker until it ends. L's stack starts with func and model. */
_Noreturn void worker_main(const struct workplace *workplace, lua_State *L,
                           const struct worker_seat *seat);

#endif
