/* The four knobs, resolved once: by parameter, else by the environment, else from the scheduler's
 * grant and the defaults (docs/config.md). */
#ifndef LKRUN_CONFIG_H
#define LKRUN_CONFIG_H

#include <stdbool.h>
#include <lua.h>

#include "machine/cpu.h"

enum config_source { FROM_DEFAULT, FROM_GRANT, FROM_VARIABLE, FROM_PARAMETER, FROM_WORKER };

enum config_knob {
    KNOB_PROCESSES,
    KNOB_THREADS,
    KNOB_BACKEND_THREADS,
    KNOB_CHILD_THREADS,
    KNOB_COUNT
};

/* The most that a knob may be set to: several times the CPUs of the largest Linux machines (8192),
 * and low enough that the product of two fits an int. */
#define CONFIG_LIMIT 32768

struct config {
    int value[KNOB_COUNT]; /* that of KNOB_BACKEND_THREADS may be -1: the backend is left alone */
    enum config_source source[KNOB_COUNT];
};

/* The CPUs that the defaults share out. */
struct config_grant {
    int cpus;
    const char *who; /* the scheduler that granted them; NULL: none did, and they are cpu_count() */
};

/* Sets the scheduler's grant, whatever the environment says: `who` ("Snakemake", static storage)
 * gave `cpus` CPUs. False, and without effect, once the configuration is initialized. */
bool config_set_grant(int cpus, const char *who);

/* The configuration; where nobody has initialized it, this does, from the environment. Raises for a
 * variable with a bad value. */
const struct config *config_ensure(lua_State *L);
/* The grant with which the configuration was initialized; valid after config_ensure. */
struct config_grant config_grant(void);

/* What a worker of this process gets by default: one process, one thread, `child_threads` threads
 * for its backend, one for the backend of its own workers. */
struct config config_for_worker(const struct config *parent);
/* Sets what the table at this index names, by the parameters of lk.initialize, in `config`. Raises
 * for an unknown name or a bad value; `where` is the public function's name. */
void config_override(lua_State *L, int index, const char *where, struct config *config);

/* Before workers are forked: makes the environment for them. To change it in each of them would
 * cost a worker as much as everything else that it does before its first task. False: out of
 * memory. */
bool config_prepare_worker(const struct config *worker);
/* In a new worker, before any task: makes `worker` the configuration, and sets the four variables
 * and the backend's threads by it. Calls backend_enter_worker. */
void config_enter_worker(const struct config *worker);

/* What a worker that is a thread of this process gets by default: as config_for_worker, but
 * `backend_threads` threads for the backend, which it shares with the process. */
struct config config_for_thread(const struct config *parent);
/* In a new thread: makes `worker` its configuration, which the caller keeps while the thread runs.
 * The environment and the backend are the process's, and stay as they are. */
void config_enter_thread(const struct config *worker);

#endif
