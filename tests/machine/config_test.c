/* The parts of the configuration that a Lua program cannot reach: the grant that a host tells, and
 * what a worker starts with. Each test is a process of its own, because a process configures once.
 */
/* runs under: thread, valgrind */
#include "machine/config.h"

#include <string.h>
#include <lauxlib.h>

#include "machine/backend.h"
#include "../support/tap.h"

#define HANG 120 /* seconds */

static bool variable_is(const char *name, const char *value)
{
    const char *found = getenv(name);
    return found && strcmp(found, value) == 0;
}

static bool is(const struct config *config, int processes, int threads, int backend, int child)
{
    const int *value = config->value;
    return value[KNOB_PROCESSES] == processes && value[KNOB_THREADS] == threads &&
           value[KNOB_BACKEND_THREADS] == backend && value[KNOB_CHILD_THREADS] == child;
}

static bool told_grant(void)
{
    lua_State *L = luaL_newstate();
    setenv("SLURM_CPUS_PER_TASK", "5", 1);
    bool told = config_set_grant(12, "Snakemake");
    bool whole = is(config_ensure(L), 12, 12, 1, 1) && strcmp(config_grant().who, "Snakemake") == 0;
    bool too_late = !config_set_grant(3, "Snakemake") && config_grant().cpus == 12;
    lua_close(L);
    return told && whole && too_late;
}

static bool told_grant_reduces(void)
{
    lua_State *L = luaL_newstate();
    setenv("LK_NUM_PROCS", "9", 1);
    config_set_grant(2, "Snakemake");
    bool reduced = is(config_ensure(L), 2, 2, 1, 1);
    lua_close(L);
    return reduced;
}

static bool environment_counts_once(void)
{
    lua_State *L = luaL_newstate();
    setenv("LK_NUM_PROCS", "3", 1);
    bool before = config_ensure(L)->value[KNOB_PROCESSES] == 3;
    setenv("LK_NUM_PROCS", "nonsense", 1);
    bool after = config_ensure(L)->value[KNOB_PROCESSES] == 3;
    lua_close(L);
    return before && after;
}

static struct config given;

static bool worker_has_it(void)
{
    lua_State *L = luaL_newstate();
    config_enter_worker(&given);
    const struct config *config = config_ensure(L);
    bool known = is(config, 1, 1, 3, 1) && config->source[KNOB_PROCESSES] == FROM_WORKER;
    bool told = variable_is("LK_NUM_PROCS", "1") && variable_is("LK_NUM_THREADS", "1") &&
                variable_is("LK_NUM_BACKEND_THREADS", "3") &&
                variable_is("LK_NUM_CHILD_THREADS", "1");
    /* A program that this worker starts inherits the variables. */
    bool inherited = system("test \"$LK_NUM_PROCS $LK_NUM_BACKEND_THREADS\" = '1 3'") == 0;
    backend_load(L);
    /* A library that is loaded only in the worker uses as many threads as the worker is told. For
     * OpenMP see backend_test.c. */
    bool set = backend_threads() == 3;
    lua_close(L);
    return known && told && inherited && set;
}

static bool worker_of_a_configured_program(void)
{
    lua_State *L = luaL_newstate();
    setenv("LK_NUM_PROCS", "4", 1);
    setenv("LK_NUM_THREADS", "6", 1);
    setenv("LK_NUM_BACKEND_THREADS", "2", 1);
    setenv("LK_NUM_CHILD_THREADS", "3", 1);
    given = config_for_worker(config_ensure(L));
    bool worker = is(&given, 1, 1, 3, 1) && tap_forked(worker_has_it, HANG);
    bool own = is(config_ensure(L), 4, 6, 2, 3) && variable_is("LK_NUM_PROCS", "4");
    lua_close(L);
    return worker && own;
}

static bool worker_of_a_program_that_left_the_backend_alone(void)
{
    lua_State *L = luaL_newstate();
    setenv("LK_NUM_BACKEND_THREADS", "-1", 1);
    setenv("LK_NUM_CHILD_THREADS", "3", 1);
    given = config_for_worker(config_ensure(L));
    bool worker = tap_forked(worker_has_it, HANG);
    lua_close(L);
    return worker;
}

static bool worker_under_the_users_own_limit(void)
{
    lua_State *L = luaL_newstate();
    setenv("OPENBLAS_NUM_THREADS", "1", 1);
    given = (struct config){{1, 1, 3, 1}, {0}};
    config_enter_worker(&given);
    backend_load(L);
    bool respected = backend_threads() == 1 && config_ensure(L)->value[KNOB_BACKEND_THREADS] == 3;
    lua_close(L);
    return respected;
}

static int override(lua_State *L)
{
    config_override(L, 1, "lk.invoker", &given);
    return 0;
}

/* Runs config_override over `given` with this table; its error, or "" where it raised none. */
static const char *override_with(lua_State *L, const char *table)
{
    lua_settop(L, 0);
    lua_pushcfunction(L, override);
    if (luaL_dostring(L, table) != LUA_OK || lua_pcall(L, 1, 0, 0) != LUA_OK)
        return lua_tostring(L, -1);
    return "";
}

static bool worker_options_override(void)
{
    lua_State *L = luaL_newstate();
    given = (struct config){{1, 1, 3, 1}, {0}};
    bool over =
        !*override_with(L, "return {threads = 4, backend_threads = 2}") && is(&given, 1, 4, 2, 1);
    bool refused =
        strstr(override_with(L, "return {threads = 0}"), "lk.invoker: threads = 0 found") != NULL;
    lua_close(L);
    return over && refused;
}

int main(void)
{
    static const char *const unset[] = {
        "LK_NUM_PROCS",         "LK_NUM_THREADS",      "LK_NUM_BACKEND_THREADS",
        "LK_NUM_CHILD_THREADS", "SLURM_CPUS_PER_TASK", "OPENBLAS_NUM_THREADS",
        "GOTO_NUM_THREADS",     "OMP_NUM_THREADS",
    };
    for (size_t i = 0; i < sizeof unset / sizeof *unset; i++)
        unsetenv(unset[i]);
    tap_ok(tap_forked(told_grant, HANG),
           "a grant that the host tells goes before Slurm's, and once only");
    tap_ok(tap_forked(told_grant_reduces, HANG), "a grant that the host tells reduces a variable");
    tap_ok(tap_forked(environment_counts_once, HANG), "the environment is read once");
    tap_ok(tap_forked(worker_of_a_configured_program, HANG),
           "a worker has the worker configuration, in the backend and the environment too");
    tap_ok(tap_forked(worker_of_a_program_that_left_the_backend_alone, HANG),
           "a worker has it where the program leaves the backend alone");
    tap_ok(tap_forked(worker_under_the_users_own_limit, HANG),
           "a worker respects the library's own variable");
    tap_ok(tap_forked(worker_options_override, HANG),
           "an invoker's options go over a worker's defaults");
    return tap_done();
}
