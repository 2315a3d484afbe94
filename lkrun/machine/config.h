/* The four knobs, resolved once: parameter, then environment, then the scheduler's grant and the
 * defaults (behaviour.md's table; the grant in the manual's page on configuration). */
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

/* The most a knob may say: several times the CPUs of the largest Linux machines (8192), and low
 * enough that the product of two fits an int. */
#define CONFIG_LIMIT 32768

struct config {
    int value[KNOB_COUNT]; /* backend_threads may be -1: left alone */
    enum config_source source[KNOB_COUNT];
};

/* What the CPUs were counted from. */
struct config_grant {
    int cpus;        /* the defaults share these out */
    const char *who; /* the scheduler that granted them; NULL: none did, they are NCPUS */
};

/* A scheduler's grant, whatever the environment tells: `who` ("Snakemake", static storage) gave
 * `cpus`. False, and no effect, once initialized. */
bool config_set_grant(int cpus, const char *who);

/* The configuration, initialized with defaults if nobody has; raises for a bad variable. */
const struct config *config_ensure(lua_State *L);
/* What config_ensure counted from; valid after it. */
struct config_grant config_grant(void);

/* What a worker of this process gets by default: 1, 1, child_threads, 1. */
struct config config_for_worker(const struct config *parent);
/* Puts the fields of the table at this index, named as the parameters of lk.initialize, over
 * `config`; raises for an unknown name or a bad value. `where`: the public function's name. */
void config_override(lua_State *L, int index, const char *where, struct config *config);

/* Before workers are forked: makes their environment, because to change it in each of them would
 * cost it as much as all else it does before its first task. False: no memory. */
bool config_prepare_worker(const struct config *worker);
/* In a new worker, before any task: makes `worker` the configuration (processes, threads,
 * backend_threads, child_threads), sets the four variables and the backend's threads to it.
 * Calls backend_enter_worker. */
void config_enter_worker(const struct config *worker);

/* What a worker gets by default that is a thread of this process: 1, 1, backend_threads, 1. */
struct config config_for_thread(const struct config *parent);
/* In a new thread: `worker` is its configuration from here on; it stays the caller's, who keeps it
 * while the thread runs. The environment and the backend, which are the process's, stay as they
 * are. */
void config_enter_thread(const struct config *worker);

#endif
