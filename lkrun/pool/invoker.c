/* Invokers as Lua sees them: a userdata that is the struct pool. lua/lkrun/invoker.lua has checked
 * the options and turned the tasks into a generator before this file gets them. */
#include <stdlib.h>
#include <unistd.h>
#include <lauxlib.h>

#include "base/random.h"
#include "base/util.h"
#include "base/value_text.h"
#include "machine/bind.h"
#include "machine/config.h"
#include "machine/signals.h"
#include "memory/region.h"
#include "memory/storage.h"
#include "pool/future.h"
#include "pool/map.h"
#include "pool/map_end.h"
#include "pool/pool_end.h"
#include "pool/pool_life.h"
#include "pool/pool_state.h"
#include "pool/pool_timeline.h"
#include "screen/log.h"
#include "screen/progress.h"
#include "screen/progress_lua.h"
#include "screen/progress_show.h"
#include "tensor/tensor.h"
#include "worker/workplace.h"

static lua_Integer integer_field(lua_State *L, int index, const char *name)
{
    lua_getfield(L, index, name);
    lua_Integer value = lua_tointeger(L, -1);
    lua_pop(L, 1);
    return value;
}

static bool boolean_field(lua_State *L, int index, const char *name)
{
    lua_getfield(L, index, name);
    bool value = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return value;
}

static const struct worker_kind *read_kind(lua_State *L, int index)
{
    lua_getfield(L, index, "workers");
    const char *name = luaL_optstring(L, -1, "processes");
    const struct worker_kind *kind = pool_kind(name);
    if (!kind)
        raise_error(L, "lk.invoker", "workers is '%s'; expected processes, threads or spawn", name);
    lua_pop(L, 1);
    return kind;
}

/* Workers in this process share the backend, and so how many threads it uses. */
static void check_backend_threads(lua_State *L, const struct config *own,
                                  const struct worker_kind *kind,
                                  const struct pool_options *options)
{
    int wanted = options->worker.value[KNOB_BACKEND_THREADS];
    if (kind->in_this_process && wanted != own->value[KNOB_BACKEND_THREADS])
        raise_error(L, "lk.invoker",
                    "worker.backend_threads is %d; worker threads use the program's own, %d: set "
                    "LK_NUM_BACKEND_THREADS, or use processes",
                    wanted, own->value[KNOB_BACKEND_THREADS]);
}

static struct pool_options read_options(lua_State *L, int index, const struct worker_kind *kind)
{
    struct pool_options options = {
        .jobs = (int)integer_field(L, index, "n_jobs"),
        .ordered = boolean_field(L, index, "ordered"),
        .return_errors = boolean_field(L, index, "return_errors"),
        .retries = (int)integer_field(L, index, "retries"),
        .memory_limit = (size_t)integer_field(L, index, "memory_limit"),
        .seed = (uint64_t)integer_field(L, index, "seed"),
    };
    lua_getfield(L, index, "timeout");
    options.timeout = lua_tonumber(L, -1);
    options.seed_given = lua_getfield(L, index, "seed") != LUA_TNIL;
    /* Shifted by one bit, so that it is a Lua integer that is not negative. */
    if (!options.seed_given)
        options.seed = random_system_seed() >> 1;
    const struct config *own = config_ensure(L);
    options.worker = kind->configuration(own);
    if (lua_getfield(L, index, "worker") == LUA_TTABLE)
        config_override(L, lua_gettop(L), "lk.invoker: worker", &options.worker);
    lua_pop(L, 3);
    check_backend_threads(L, own, kind, &options);
    return options;
}

/* The option `writable`: allows workers to write the storage of the tensors in this sequence. It is
 * called before the workers are made; a small storage moves into the region. */
static void mark_writable(lua_State *L, int index, const struct worker_kind *kind)
{
    lua_Integer count = luaL_len(L, index);
    for (lua_Integer i = 1; i <= count; i++) {
        lua_geti(L, index, i);
        if (!tensor_test(L, -1))
            raise_error(L, "lk.invoker", "writable[%d]: %s was found; expected a tensor", (int)i,
                        type_text(L, -1));
        struct storage *storage = tensor_check(L, -1)->storage;
        const char *error;
        if (!kind->allow_writing(storage, &error))
            raise_error(L, "lk.invoker", "writable[%d]: %s", (int)i, error);
        if (!kind->in_this_process)
            region_mark_writable(storage->data, true);
        lua_pop(L, 1);
    }
}

/* Opens the timeline that the option `trace` names or, outside of tasks, LK_TRACE. False where the
 * option's file cannot be written; where the variable's cannot, one warning says so. */
static bool open_timeline(lua_State *L, struct pool *pool, int options)
{
    static atomic_bool told; /* worker threads make invokers, too */
    int top = lua_gettop(L);
    lua_getfield(L, options, "trace");
    const char *path = lua_tostring(L, -1), *variable = write_epoch ? NULL : getenv("LK_TRACE");
    bool optional = !path;
    if (!path && variable && *variable)
        path = variable;
    const char *where = path && push_program_position(L, false) ? lua_tostring(L, -1) : "";
    bool done = !path || pool_trace_open(pool, path, where);
    if (!done && optional && !atomic_exchange(&told, true))
        log_message(LOG_LEVEL_WARN, "LK_TRACE: %s; the program goes on without", pool->reason);
    lua_settop(L, top);
    return done || optional;
}

/* new(func, model, options, make_error, progress) → invoker. `make_error`: for outcome_make_error;
 * `progress`: a display of the program's, true for a bar for each map, or nil. */
static int pool_new(lua_State *L)
{
    pool_refuse_finalizer(L);
    bind_check_environment(L);
    const struct worker_kind *kind = read_kind(L, 3);
    struct pool_options options = read_options(L, 3, kind);
    struct pool *pool = lua_newuserdatauv(L, sizeof *pool, POOL_VALUES);
    *pool = (struct pool){.kind = kind,
                          .work = {.options = options, .bell_fd = -1, .owner = getpid()},
                          .template_fd = -1,
                          .template_end = -1,
                          .shared_fd = -1,
                          .ring_fd = -1,
                          .in_place = boolean_field(L, 3, "in_place"),
                          .futures_ref = LUA_NOREF};
    luaL_setmetatable(L, POOL_CLASS);
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
    pool->L = lua_tothread(L, -1);
    lua_pop(L, 1);
    lua_pushvalue(L, 4);
    lua_setiuservalue(L, -2, POOL_MAKE_ERROR);
    lua_pushvalue(L, 5);
    lua_setiuservalue(L, -2, POOL_PROGRESS);
    if (lua_isuserdata(L, 5))
        pool->progress = progress_check(L, 5);
    else if (lua_toboolean(L, 5))
        progress_check_environment(L);
    if (lua_toboolean(L, 5))
        progress_install(L);
    if (!open_timeline(L, pool, 3)) {
        pool->closed = true;
        return raise_error(L, "lk.invoker", "trace: %s", pool->reason);
    }
    if (lua_getfield(L, 3, "writable") == LUA_TTABLE)
        mark_writable(L, lua_gettop(L), kind);
    lua_pop(L, 1);
    if (pool->in_place) {
        lua_pushvalue(L, 1);
        lua_setiuservalue(L, -2, POOL_FUNC);
        lua_pushvalue(L, 2);
        lua_setiuservalue(L, -2, POOL_MODEL);
    } else if (!pool_start(pool, L)) {
        pool->closed = true;
        if (pool->trace)
            pool_trace_close(pool);
        signal_raise_if_pending(L);
        return raise_error(L, "lk.invoker", "%s", pool->reason);
    }
    return 1;
}

/* map(invoker, f, s, control, closing, length, numbered) */
static int pool_map(lua_State *L)
{
    struct pool *pool = pool_check(L, 1);
    int64_t length = luaL_checkinteger(L, 6);
    bool numbered = lua_toboolean(L, 7);
    lua_settop(L, 5);
    return map_open(L, pool, length, numbered);
}

/* wind_up(invoker, seconds): drops the tasks that have not begun and gives the others so many
 * seconds. */
static int wind_up(lua_State *L)
{
    pool_wind_up(pool_check(L, 1), (uint64_t)(luaL_checknumber(L, 2) * 1e9));
    return 0;
}

static int pool_shutdown(lua_State *L)
{
    struct pool *pool = luaL_checkudata(L, 1, POOL_CLASS);
    if (pool_in_finalizer(L)) {
        /* The next call of the invoker, or the next step of its map, ends it. */
        pool->end_due = true;
        pool->until_look = 0;
    } else {
        pool_end(L, pool, 1);
    }
    return 0;
}

/* Nobody refers to the invoker any more, so no call of it is under way, and its end need not wait.
 */
static int invoker_gc(lua_State *L)
{
    pool_end(L, luaL_checkudata(L, 1, POOL_CLASS), 1);
    return 0;
}

static void set_count(lua_State *L, const char *name, uint64_t value)
{
    lua_pushinteger(L, (lua_Integer)value);
    lua_setfield(L, -2, name);
}

/* stats(invoker) → table */
static int pool_stats(lua_State *L)
{
    struct pool *pool = pool_check(L, 1);
    lua_createtable(L, 0, 8);
    uint64_t done = pool->done;
    for (int i = 0; pool->workers && i < pool->work.options.jobs; i++)
        done += pool->workers[i].tasks_done;
    set_count(L, "tasks", done);
    set_count(L, "crashes", pool->crashes);
    set_count(L, "retries", pool->retried);
    set_count(L, "bytes_sent", pool->bytes_out);
    set_count(L, "bytes_received", pool->bytes_in);
    set_count(L, "n_jobs", (uint64_t)pool->work.options.jobs);
    set_count(L, "template", (uint64_t)pool->template_pid);
    lua_pushinteger(L, (lua_Integer)pool->work.options.seed);
    lua_setfield(L, -2, "seed");
    lua_createtable(L, pool->work.options.jobs, 0);
    uint64_t now = clock_nanoseconds();
    for (int i = 0; pool->workers && i < pool->work.options.jobs; i++) {
        const struct worker *worker = &pool->workers[i];
        uint64_t busy = atomic_load(&worker->shared->busy),
                 since = atomic_load(&worker->shared->busy_since);
        if (since && now > since)
            busy += now - since;
        lua_createtable(L, 0, 3);
        set_count(L, "pid", (uint64_t)worker->pid);
        set_count(L, "tasks", worker->tasks_done);
        lua_pushnumber(L, worker->busy_before + (double)busy * 1e-9);
        lua_setfield(L, -2, "busy");
        lua_rawseti(L, -2, i + 1);
    }
    lua_setfield(L, -2, "workers");
    return 1;
}

static int is_closed(lua_State *L)
{
    const struct pool *pool = luaL_checkudata(L, 1, POOL_CLASS);
    lua_pushboolean(L, pool->closed);
    return 1;
}

int luaopen_lkrun_core_pool(lua_State *L);
int luaopen_lkrun_core_pool(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"shutdown", pool_shutdown}, {"stats", pool_stats},      {"submit", future_submit},
        {"__gc", invoker_gc},        {"__close", pool_shutdown}, {NULL, NULL},
    };
    static const luaL_Reg functions[] = {{"new", pool_new},
                                         {"map", pool_map},
                                         {"wind_up", wind_up},
                                         {"is_closed", is_closed},
                                         {NULL, NULL}};
    register_class(L, POOL_CLASS, methods);
    map_register(L);
    future_register(L);
    luaL_newlib(L, functions);
    luaL_getmetatable(L, POOL_CLASS);
    lua_setfield(L, -2, "class");
    return 1;
}
