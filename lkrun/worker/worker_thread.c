/* A worker that is a thread.
 *
 * What always holds: it touches its own Lua state and its own site; of the pool only what is meant
 * for workers: the rings, the shared lines, the options, and what was carried. Tensors are the
 * host's own storage, counted atomically; all it was given is older than its epoch, so read-only.
 * What its Lua code prints goes over the ring, and so reaches the program's output in order and in
 * whole lines. */
#include "worker/worker_thread.h"

#include <stdio.h>
#include <stdlib.h>
#include <lauxlib.h>
#include <lualib.h>

#include "base/channel.h"
#include "base/random.h"
#include "base/util.h"
#include "machine/config.h"
#include "machine/signals.h"
#include "memory/region.h"
#include "memory/storage.h"
#include "screen/log.h"
#include "screen/progress.h"
#include "screen/terminal_stdio.h"
#include "state/host.h"
#include "value/carry_decode.h"
#include "worker/worker.h"
#include "worker/worker_reports.h"
#include "worker/worker_shared.h"
#include "worker/worker_site.h"
#include "worker/workplace.h"

/* --- storage by address --- */

static bool give(void *unused, struct storage *storage, uint64_t *handle, const char **error)
{
    (void)unused;
    if (worker_storage_is_lent(storage)) {
        *error = "a tensor of a task belongs to its worker; carry its clone()";
        return false;
    }
    *handle = (uint64_t)(uintptr_t)storage;
    return true;
}

/* The host holds a reference to the storage until all threads are ready. */
static struct storage *take(void *unused, uint64_t handle, size_t bytes, const char **error)
{
    struct storage *storage = (struct storage *)(uintptr_t)handle;
    (void)unused, (void)bytes, (void)error;
    storage_retain(storage);
    return storage;
}

const struct carry_port thread_carry_port = {NULL, give, take};

/* --- output --- */

static ssize_t write_output(struct worker_site *site, uint16_t which, const char *bytes,
                            size_t length)
{
    const size_t piece = RING_SIZE / 4;
    for (size_t at = 0; at < length; at += piece)
        worker_post(site, RESULT_OUTPUT, which, bytes + at,
                    length - at < piece ? length - at : piece);
    return (ssize_t)length;
}

static ssize_t write_stdout(void *site, const char *bytes, size_t length)
{
    return write_output(site, 0, bytes, length);
}

static ssize_t write_stderr(void *site, const char *bytes, size_t length)
{
    return write_output(site, 1, bytes, length);
}

static bool open_streams(struct worker_site *site)
{
    for (int i = 0; i < 2; i++) {
        cookie_io_functions_t functions = {.write = i ? write_stderr : write_stdout};
        site->streams[i] = fopencookie(site, "w", functions);
        if (!site->streams[i])
            return false;
        setvbuf(site->streams[i], NULL, _IOLBF, BUFSIZ);
    }
    return true;
}

/* print(...), to the standard output of this worker. */
static int thread_print(lua_State *L)
{
    const struct worker_site *site = lua_touserdata(L, lua_upvalueindex(1));
    int count = lua_gettop(L);
    luaL_Buffer line;
    luaL_buffinit(L, &line);
    for (int i = 1; i <= count; i++) {
        if (i > 1)
            luaL_addchar(&line, '\t');
        luaL_tolstring(L, i, NULL);
        luaL_addvalue(&line);
    }
    luaL_addchar(&line, '\n');
    luaL_pushresult(&line);
    size_t length;
    const char *bytes = lua_tolstring(L, -1, &length);
    fwrite(bytes, 1, length, site->streams[0]);
    return 0;
}

static int thread_exit(lua_State *L)
{
    return luaL_error(L, "lkrun: os.exit: a worker that is a thread cannot end the program; return "
                         "from the task, or raise an error");
}

static void take_output(lua_State *L, struct worker_site *site)
{
    static const char *const names[2] = {"stdout", "stderr"};
    lua_getglobal(L, LUA_IOLIBNAME);
    for (int i = 0; i < 2; i++) {
        lua_getfield(L, -1, names[i]);
        ((luaL_Stream *)luaL_checkudata(L, -1, LUA_FILEHANDLE))->f = site->streams[i];
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    lua_pushlightuserdata(L, site);
    lua_pushcclosure(L, thread_print, 1);
    lua_setglobal(L, "print");
    stdio_pass_over(L);
}

/* --- the state --- */

static void set_field(lua_State *L, const char *table, const char *name, const char *text)
{
    lua_getglobal(L, table);
    lua_pushstring(L, text);
    lua_setfield(L, -2, name);
    lua_pop(L, 1);
}

/* prepare(thread, site): leaves func and model. */
static int prepare(lua_State *L)
{
    struct worker_thread *thread = lua_touserdata(L, 1);
    struct worker_site *site = lua_touserdata(L, 2);
    const struct buffer *carried = thread->carried;
    luaL_openlibs(L);
    lua_gc(L, LUA_GCGEN, 0, 0);
    host_preload(L);
    random_install(L);
    set_field(L, LUA_LOADLIBNAME, "path", thread->path);
    set_field(L, LUA_LOADLIBNAME, "cpath", thread->cpath);
    lua_getglobal(L, LUA_OSLIBNAME);
    lua_pushcfunction(L, thread_exit);
    lua_setfield(L, -2, "exit");
    take_output(L, site);
    signals_enter_thread(L);
    lua_settop(L, 0);
    return carry_decode(L, carried->data, carried->length, &thread_carry_port);
}

static void run(struct worker_thread *thread, struct worker_site *site, lua_State *L)
{
    lua_pushcfunction(L, prepare);
    lua_pushlightuserdata(L, thread);
    lua_pushlightuserdata(L, site);
    if (lua_pcall(L, 2, LUA_MULTRET, 0) != LUA_OK) {
        snprintf(thread->problem, sizeof thread->problem, "%s", luaL_tolstring(L, -1, NULL));
        sem_post(thread->ready);
        return;
    }
    sem_post(thread->ready);
    worker_serve(site, L);
}

void *worker_thread_main(void *argument)
{
    struct worker_thread *thread = argument;
    const struct workplace *workplace = thread->workplace;
    write_epoch = thread->write_epoch;
    config_enter_thread(&workplace->options.worker);
    struct worker_site *site = worker_open_site(workplace, thread->place, thread->bell_fd);
    lua_State *L = site && open_streams(site) ? luaL_newstate() : NULL;
    if (L) {
        site->resolve = region_resolve_own;
        worker_install_reports(site);
        run(thread, site, L);
        signals_leave_thread(L);
        lua_close(L);
    } else {
        snprintf(thread->problem, sizeof thread->problem, "not enough memory");
        sem_post(thread->ready);
    }
    for (int i = 0; site && i < 2; i++)
        if (site->streams[i])
            fclose(site->streams[i]);
    log_set_handler(NULL, NULL);
    progress_set_handler(NULL, NULL);
    if (site) {
        buffer_free(&site->out);
        buffer_free(&site->freed);
    }
    free(site);
    atomic_store(&thread->ended, true);
    doorbell_ring(&workplace->shared->bell, workplace->bell_fd);
    return NULL;
}
