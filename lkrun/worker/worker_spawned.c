/* A worker that is a new process: makes a Lua state, maps what the host shares, takes func and
 * model, and goes on as a forked worker would. */
#include "worker/worker_spawned.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <lauxlib.h>
#include <lualib.h>

#include "base/channel.h"
#include "base/random.h"
#include "base/util.h"
#include "machine/signals.h"
#include "memory/mapping.h"
#include "memory/region.h"
#include "memory/storage.h"
#include "state/host.h"
#include "value/carry_decode.h"
#include "worker/spawn_job.h"
#include "worker/worker_process.h"
#include "worker/worker_shared.h"
#include "worker/workplace.h"

bool spawn_is_lkrun;

/* The files of the host's mapped tensors, mapped here too, while func and model are decoded. */
static struct mapping *mapped[SPAWN_MOST_FILES];

/* Gives the storage that is a part of a file which the host has mapped. */
static struct storage *take_mapped(const struct spawn_job *job, uint64_t handle, size_t bytes,
                                   const char **error)
{
    int number = (int)(handle % SPAWN_OFFSET / SPAWN_FILE);
    struct mapping **mapping = &mapped[number];
    if (!*mapping)
        *mapping =
            mapping_open(SPAWN_FILES + number, job->files[number].bytes, job->files[number].path);
    *error = "its file cannot be mapped";
    return *mapping
               ? mapping_storage(*mapping, mapping_bytes(*mapping) + handle / SPAWN_OFFSET, bytes)
               : NULL;
}

/* Gives the storage of a handle. This runs before region_enter_worker, so the host's region still
 * counts as this process's own. */
static struct storage *take(void *job, uint64_t handle, size_t bytes, const char **error)
{
    const uint64_t page = 4096;
    if (handle & SPAWN_MAPPED)
        return take_mapped(job, handle, bytes, error);
    bool writable = handle & SPAWN_WRITABLE;
    void *address = region_resolve_own(handle & ~(uint64_t)SPAWN_WRITABLE, bytes);
    struct storage *storage = address ? storage_wrap(address, bytes, NULL, NULL, 0) : NULL;
    if (!storage) {
        *error = address ? "out of memory" : "it is outside the region";
        return NULL;
    }
    storage->shared_writable = writable;
    if (!writable && bytes)
        (void)!mprotect(address, (bytes + page - 1) / page * page, PROT_READ);
    return storage;
}

/* Gives up this file's hold on the mapped files: the tensors keep them mapped from here on. */
static void let_go_of_files(const struct spawn_job *job)
{
    for (int i = 0; i < job->file_count; i++) {
        if (mapped[i])
            mapping_release(mapped[i]);
        close(SPAWN_FILES + i);
    }
}

static void set_field(lua_State *L, const char *table, const char *name, const char *text,
                      size_t length)
{
    lua_getglobal(L, table);
    lua_pushlstring(L, text, length);
    lua_setfield(L, -2, name);
    lua_pop(L, 1);
}

static void set_log_level(lua_State *L, int level)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    lua_getglobal(L, "require");
    lua_pushliteral(L, "lkrun.core.log");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "set_level");
    lua_pushstring(L, names[level]);
    lua_call(L, 1, 0);
    lua_pop(L, 1);
}

/* prepare(job) → func, model */
static int prepare(lua_State *L)
{
    const struct spawn_job *job = lua_touserdata(L, 1);
    const struct carry_port port = {(void *)job, NULL, take};
    const char *path = (const char *)(job + 1);
    luaL_openlibs(L);
    lua_gc(L, LUA_GCGEN, 0, 0);
    host_preload(L);
    random_install(L);
    set_field(L, LUA_LOADLIBNAME, "path", path, job->path);
    set_field(L, LUA_LOADLIBNAME, "cpath", path + job->path, job->cpath);
    set_log_level(L, job->log_level);
    int count = carry_decode(L, path + job->path + job->cpath, job->carried, &port);
    let_go_of_files(job);
    return count;
}

static int fail(const char *what)
{
    fprintf(stderr, "lkrun: worker: %s\n", what);
    return EXIT_FAILURE;
}

static const struct spawn_job *map_job(void)
{
    struct stat status;
    if (fstat(SPAWN_JOB, &status) < 0 || status.st_size < (off_t)sizeof(struct spawn_job))
        return NULL;
    void *job = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, SPAWN_JOB, 0);
    return job == MAP_FAILED ? NULL : job;
}

/* Maps what the host shares with its workers. */
static bool attach(struct workplace *workplace, const struct spawn_job *job)
{
    *workplace = (struct workplace){
        .options = job->options,
        .owner = job->owner,
        .fetch_budget = job->fetch_budget,
        .bell_fd = SPAWN_POOL_BELL,
        .shared_size = job->shared_size,
        .shared = mmap(NULL, job->shared_size, PROT_READ | PROT_WRITE, MAP_SHARED, SPAWN_SHARED, 0),
        .ring_memory = ring_memory_attach(SPAWN_RINGS, job->options.jobs * 2, RING_SIZE)};
    return workplace->shared != MAP_FAILED && workplace->ring_memory &&
           region_attach(SPAWN_REGION, job->region_size);
}

int spawn_main(const char *place)
{
    static struct workplace workplace;
    for (int descriptor = SPAWN_SHARED; descriptor < SPAWN_FILES; descriptor++)
        fcntl(descriptor, F_SETFD, FD_CLOEXEC);
    const struct spawn_job *job = map_job();
    if (!job || job->size != sizeof *job || strcmp(job->version, LKRUN_VERSION) != 0)
        return fail("this lkrun, " LKRUN_VERSION ", is not the version of the program that "
                    "started it");
    for (int i = 0; i < job->file_count; i++)
        fcntl(SPAWN_FILES + i, F_SETFD, FD_CLOEXEC);
    if (getppid() != job->owner)
        return EXIT_FAILURE;
    if (!attach(&workplace, job))
        return fail("what the program shares cannot be mapped");
    signals_enter_worker();
    lua_State *L = luaL_newstate();
    if (!L)
        return fail("not enough memory");
    lua_pushcfunction(L, prepare);
    lua_pushlightuserdata(L, (void *)job);
    if (lua_pcall(L, 1, LUA_MULTRET, 0) != LUA_OK) {
        const char *text = luaL_tolstring(L, -1, NULL), *prefix = "lkrun: worker: ";
        return fail(strncmp(text, prefix, strlen(prefix)) == 0 ? text + strlen(prefix) : text);
    }
    const struct worker_seat seat = {.place = atoi(place),
                                     .bell_fd = SPAWN_WORKER_BELL,
                                     .output_end = {STDOUT_FILENO, STDERR_FILENO}};
    worker_main(&workplace, L, &seat);
}
