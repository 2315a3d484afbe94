/* The configuration is resolved once in a process: until then `current` means nothing, and
 * from then on it never changes, except that a new worker starts with the one it is given.
 * Resolving reads the environment and checks everything before it sets anything, so that
 * an error changes nothing. */
#include "machine/config.h"

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "machine/backend.h"
#include "screen/log.h"
#include "base/nearest.h"
#include "machine/snakemake.h"
#include "base/value_text.h"
#include "base/util.h"

static const struct {
    const char *parameter;
    const char *variable;
} knobs[KNOB_COUNT] = {
    [KNOB_PROCESSES] = {"processes", "LK_NUM_PROCS"},
    [KNOB_THREADS] = {"threads", "LK_NUM_THREADS"},
    [KNOB_BACKEND_THREADS] = {"backend_threads", "LK_NUM_BACKEND_THREADS"},
    [KNOB_CHILD_THREADS] = {"child_threads", "LK_NUM_CHILD_THREADS"},
};

static const char *const source_names[] = {"default", "grant", "variable", "parameter", "worker"};

static struct config current;
static char **prepared; /* the environment of the workers that are forked next; owned */
static _Thread_local const struct config *of_thread; /* that of this worker, if it is a thread */
static struct config_grant grant;                    /* the one with which `current` was resolved */
static struct config_grant told; /* what config_set_grant was told; `who` is NULL: nothing */
static atomic_bool initialized;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

/* ---- What a value may be ---- */

static const char *also_allowed(enum config_knob knob)
{
    return knob == KNOB_BACKEND_THREADS ? ", or -1 to leave the backend alone" : "";
}

static bool is_allowed(enum config_knob knob, long long value)
{
    return (value >= 1 && value <= CONFIG_LIMIT) || (knob == KNOB_BACKEND_THREADS && value == -1);
}

/* The text as a whole number. 0: it is none; something above CONFIG_LIMIT: it is too large. No sign
 * but that of -1 is allowed, no space, no exponent. */
static long long parse(const char *text)
{
    if (strcmp(text, "-1") == 0)
        return -1;
    long long value = 0;
    for (; *text >= '0' && *text <= '9'; text++)
        if (value <= CONFIG_LIMIT)
            value = value * 10 + (*text - '0');
    return *text ? 0 : value;
}

/* The variable's text; NULL where it is unset or empty. */
static const char *variable(const char *name)
{
    const char *text = getenv(name);
    return text && *text ? text : NULL;
}

static void read_variables(lua_State *L, struct config *config)
{
    for (int knob = 0; knob < KNOB_COUNT; knob++) {
        const char *text = variable(knobs[knob].variable);
        if (!text)
            continue;
        long long value = parse(text);
        if (!is_allowed(knob, value))
            raise_error(L, knobs[knob].variable,
                        "\"%.80s\" found; expected a whole number from 1 to %d%s", text,
                        CONFIG_LIMIT, also_allowed(knob));
        config->value[knob] = (int)value;
        config->source[knob] = FROM_VARIABLE;
    }
}

static int knob_named(const char *name)
{
    for (int knob = 0; knob < KNOB_COUNT; knob++)
        if (strcmp(name, knobs[knob].parameter) == 0)
            return knob;
    return -1;
}

/* Raises for the key below the top of the stack, which names no parameter. */
static void refuse_parameter(lua_State *L, const char *where)
{
    const char *names[KNOB_COUNT + 1] = {NULL};
    for (int knob = 0; knob < KNOB_COUNT; knob++)
        names[knob] = knobs[knob].parameter;
    const char *word = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
    const char *found = push_brief(L, -2);
    raise_error(L, where,
                "unknown parameter %.80s%s found; expected processes, threads, backend_threads or "
                "child_threads",
                found, push_nearest_name(L, word, names));
}

void config_override(lua_State *L, int index, const char *where, struct config *config)
{
    index = lua_absindex(L, index);
    if (!lua_istable(L, index))
        raise_error(L, where, "%s found; expected a table of parameters", type_text(L, index));
    lua_pushnil(L);
    while (lua_next(L, index)) {
        int is_integer;
        int knob = lua_type(L, -2) == LUA_TSTRING ? knob_named(lua_tostring(L, -2)) : -1;
        if (knob < 0)
            refuse_parameter(L, where);
        long long value = lua_tointegerx(L, -1, &is_integer);
        if (lua_type(L, -1) != LUA_TNUMBER || !is_integer || !is_allowed(knob, value)) {
            raise_error(L, where, "%s = %.80s found; expected a whole number from 1 to %d%s",
                        knobs[knob].parameter, push_brief(L, -1), CONFIG_LIMIT, also_allowed(knob));
        }
        config->value[knob] = (int)value;
        config->source[knob] = FROM_PARAMETER;
        lua_pop(L, 1);
    }
}

/* ---- Resolving ---- */

static int clamp(int value, int low, int high)
{
    return value < low ? low : value > high ? high : value;
}

static struct config_grant find_grant(lua_State *L)
{
    const char *slurm = variable("SLURM_CPUS_PER_TASK");
    int snakemake = snakemake_threads();
    if (told.who)
        return told;
    if (snakemake)
        return (struct config_grant){clamp(snakemake, 1, CONFIG_LIMIT), "Snakemake"};
    if (!slurm)
        return (struct config_grant){cpu_count(), NULL};
    long long cpus = parse(slurm);
    if (cpus < 1 || cpus > CONFIG_LIMIT)
        raise_error(L, "SLURM_CPUS_PER_TASK",
                    "\"%.80s\" found; expected a whole number from 1 to %d", slurm, CONFIG_LIMIT);
    return (struct config_grant){(int)cpus, "SLURM_CPUS_PER_TASK"};
}

/* Gives the knob this value if nobody has set it. */
static void fill(struct config *config, enum config_knob knob, const struct config_grant *given,
                 int value)
{
    if (config->value[knob])
        return;
    config->value[knob] = value;
    config->source[knob] = given->who ? FROM_GRANT : FROM_DEFAULT;
}

/* Sets the knobs that nobody has set. A scheduler's grant is used whole; a program without one
 * shares the machine with others, and takes no more than the caps below. */
static void fill_defaults(struct config *config, const struct config_grant *given)
{
    int cpus = given->cpus;
    int cap = given->who ? CONFIG_LIMIT : 4;
    fill(config, KNOB_PROCESSES, given, clamp(cpus, 1, cap));
    fill(config, KNOB_THREADS, given, clamp(cpus, 1, given->who ? CONFIG_LIMIT : 8));
    fill(config, KNOB_BACKEND_THREADS, given, clamp(cpus / config->value[KNOB_THREADS], 1, cap));
    fill(config, KNOB_CHILD_THREADS, given, clamp(cpus / config->value[KNOB_PROCESSES], 1, cap));
}

/* Reduces the knobs that exceed a scheduler's grant; `warning` then says which those were. */
static void reduce_to_grant(struct config *config, const struct config_grant *given, char *warning,
                            size_t size)
{
    size_t length = 0;
    for (int knob = 0; given->who && knob < KNOB_COUNT; knob++) {
        int value = config->value[knob];
        if (value <= given->cpus)
            continue;
        const char *name =
            config->source[knob] == FROM_VARIABLE ? knobs[knob].variable : knobs[knob].parameter;
        length += (size_t)snprintf(warning + length, size - length, "%s%s = %d", length ? ", " : "",
                                   name, value);
        config->value[knob] = given->cpus;
    }
    if (length)
        snprintf(warning + length, size - length, " above the %d CPUs granted by %s; reduced to %d",
                 given->cpus, given->who, given->cpus);
}

/* Initializes with the table of parameters at this index (0: there is none). False:
 * that was done before. */
static bool initialize(lua_State *L, int parameters)
{
    struct config config = {0};
    char warning[320] = "";
    if (atomic_load(&initialized))
        return false;
    log_check_environment(L);
    read_variables(L, &config);
    if (parameters)
        config_override(L, parameters, "lk.initialize", &config);
    struct config_grant given = find_grant(L);
    reduce_to_grant(&config, &given, warning, sizeof warning);
    fill_defaults(&config, &given);

    pthread_mutex_lock(&mutex);
    bool first = !atomic_load(&initialized);
    if (first) {
        current = config;
        grant = given;
        backend_set_threads(config.value[KNOB_BACKEND_THREADS]);
        atomic_store(&initialized, true);
    }
    pthread_mutex_unlock(&mutex);
    if (first && *warning)
        log_message(LOG_LEVEL_WARN, "configuration: %s", warning);
    return first;
}

bool config_set_grant(int cpus, const char *who)
{
    if (atomic_load(&initialized))
        return false;
    told = (struct config_grant){clamp(cpus, 1, CONFIG_LIMIT), who};
    return true;
}

const struct config *config_ensure(lua_State *L)
{
    if (of_thread)
        return of_thread;
    initialize(L, 0);
    return &current;
}

struct config_grant config_grant(void)
{
    return grant;
}

/* ---- Workers ---- */

struct config config_for_worker(const struct config *parent)
{
    struct config worker;
    for (int knob = 0; knob < KNOB_COUNT; knob++) {
        worker.value[knob] = 1;
        worker.source[knob] = FROM_WORKER;
    }
    worker.value[KNOB_BACKEND_THREADS] = parent->value[KNOB_CHILD_THREADS];
    return worker;
}

struct config config_for_thread(const struct config *parent)
{
    struct config worker = config_for_worker(parent);
    worker.value[KNOB_BACKEND_THREADS] = parent->value[KNOB_BACKEND_THREADS];
    return worker;
}

void config_enter_thread(const struct config *worker)
{
    of_thread = worker;
}

/* Whether this entry of an environment is one of the four variables. */
static bool is_knob(const char *entry)
{
    for (int knob = 0; knob < KNOB_COUNT; knob++) {
        size_t length = strlen(knobs[knob].variable);
        if (strncmp(entry, knobs[knob].variable, length) == 0 && entry[length] == '=')
            return true;
    }
    return false;
}

bool config_prepare_worker(const struct config *worker)
{
    enum { TEXT = 40 };
    size_t count = 0, kept = 0;
    while (environ && environ[count])
        count++;
    size_t pointers = (count + KNOB_COUNT + 1) * sizeof *environ;
    char **made = malloc(pointers + (size_t)KNOB_COUNT * TEXT);
    if (!made)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!is_knob(environ[i]))
            made[kept++] = environ[i];
    char *text = (char *)made + pointers;
    for (int knob = 0; knob < KNOB_COUNT; knob++, text += TEXT) {
        snprintf(text, TEXT, "%s=%d", knobs[knob].variable, worker->value[knob]);
        made[kept++] = text;
    }
    made[kept] = NULL;
    free(prepared);
    prepared = made;
    return true;
}

void config_enter_worker(const struct config *worker)
{
    mutex = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    backend_enter_worker();
    current = *worker;
    for (int knob = 0; knob < KNOB_COUNT; knob++)
        current.source[knob] = FROM_WORKER;
    if (prepared || config_prepare_worker(worker))
        environ = prepared;
    /* It is the environment now, and not to be freed; workers of this process get one of their
     * own. */
    prepared = NULL;
    backend_set_threads(current.value[KNOB_BACKEND_THREADS]);
    atomic_store(&initialized, true);
}

/* ---- lkrun.core.config ---- */

static int l_initialize(lua_State *L)
{
    lua_settop(L, 1);
    if (!initialize(L, lua_isnil(L, 1) ? 0 : 1))
        log_message(LOG_LEVEL_WARN,
                    "lk.initialize: already initialized; nothing was changed (call it once, "
                    "before anything parallel)");
    return 0;
}

static int l_ensure(lua_State *L)
{
    config_ensure(L);
    return 0;
}

/* grant(cpus): Snakemake gave this job so many CPUs. */
static int l_grant(lua_State *L)
{
    lua_Integer cpus = luaL_checkinteger(L, 1);
    luaL_argcheck(L, cpus >= 1 && cpus <= CONFIG_LIMIT, 1, "expected a number of CPUs");
    config_set_grant((int)cpus, "Snakemake");
    return 0;
}

static int l_config(lua_State *L)
{
    const struct config *config = config_ensure(L);
    int backend = config->value[KNOB_BACKEND_THREADS];
    lua_createtable(L, 0, KNOB_COUNT + 1);
    for (int knob = 0; knob < KNOB_COUNT; knob++) {
        lua_pushinteger(L, config->value[knob]);
        lua_setfield(L, -2, knobs[knob].parameter);
    }
    lua_pushinteger(L, (lua_Integer)config->value[KNOB_THREADS] * (backend > 0 ? backend : 1));
    lua_setfield(L, -2, "total_threads");
    return 1;
}

/* sources() → where each knob's value comes from, and the CPUs that were shared out:
 * {processes = "variable", …, cpus = 8, granted_by = "SLURM_CPUS_PER_TASK"} */
static int l_sources(lua_State *L)
{
    const struct config *config = config_ensure(L);
    lua_createtable(L, 0, KNOB_COUNT + 2);
    for (int knob = 0; knob < KNOB_COUNT; knob++) {
        lua_pushstring(L, source_names[config->source[knob]]);
        lua_setfield(L, -2, knobs[knob].parameter);
    }
    lua_pushinteger(L, grant.cpus);
    lua_setfield(L, -2, "cpus");
    lua_pushstring(L, grant.who);
    lua_setfield(L, -2, "granted_by");
    return 1;
}

static int l_cpu_count(lua_State *L)
{
    lua_pushinteger(L, cpu_count());
    return 1;
}

static int l_proc_count(lua_State *L)
{
    lua_pushinteger(L, config_ensure(L)->value[KNOB_PROCESSES]);
    return 1;
}

static const luaL_Reg functions[] = {
    {"initialize", l_initialize}, {"ensure_parallel_init", l_ensure},
    {"grant", l_grant},           {"config", l_config},
    {"sources", l_sources},       {"cpu_count", l_cpu_count},
    {"proc_count", l_proc_count}, {NULL, NULL},
};

int luaopen_lkrun_core_config(lua_State *L);
int luaopen_lkrun_core_config(lua_State *L)
{
    luaL_newlib(L, functions);
    return 1;
}
