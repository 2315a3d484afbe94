/* The four knobs, resolved once: parameter, then environment, then the scheduler's grant and the
 * defaults (behaviour.md's table; the grant in the manual's page on configuration). */
#ifndef LKRUN_CONFIG_H
#define LKRUN_CONFIG_H

#include <stdbool.h>
#include <lua.h>

#include "cpu.h"

enum config_source { FROM_DEFAULT, FROM_GRANT, FROM_VARIABLE, FROM_PARAMETER, FROM_WORKER };

enum config_knob {
    KNOB_PROCESSES,
    KNOB_THREADS,
    KNOB_BACKEND_THREADS,
    KNOB_CHILD_THREADS,
    KNOB_COUNT
};

struct config {
    int value[KNOB_COUNT]; /* backend_threads may be -1: left alone */
    enum config_source source[KNOB_COUNT];
};

/* The configuration, initialized with defaults if nobody has; raises for a bad variable. */
const struct config *config_ensure(lua_State *L);

/* In a new worker, before any task: makes `worker` the configuration (processes, threads,
 * backend_threads, child_threads), sets the four variables and the backend's threads to it. */
void config_enter_worker(const struct config *worker);

/* What a worker of this process gets by default: 1, 1, child_threads, 1. */
struct config config_for_worker(const struct config *parent);

#endif
