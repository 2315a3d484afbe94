/* Workers that are new processes, started and not forked. They get func and model as bytes (see
 * value/carry.h) and the memory that is shared as descriptors, but inherit nothing else of the
 * host, so they work where a fork would break what the host has open. There is no template;
 * everything else, from the rings to the handling of deaths, is as for forked workers. */
#include "pool/pool_spawn.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <lauxlib.h>
#include <lualib.h>

#include "base/identity.h"
#include "base/util.h"
#include "machine/config.h"
#include "memory/mapping.h"
#include "memory/region.h"
#include "memory/segment.h"
#include "memory/storage.h"
#include "pool/pool_processes.h"
#include "pool/pool_shared.h"
#include "pool/pool_state.h"
#include "screen/log.h"
#include "value/carry_encode.h"
#include "worker/spawn_job.h"
#include "worker/worker_spawned.h"

extern char **environ;

struct spawn {
    int job, region;           /* descriptors; that of the region belongs to memory/region.c */
    char executable[PATH_MAX]; /* the lkrun that workers run */
    /* Copies of tensors that are neither in the region nor mapped files. */
    struct segment *copies;
    struct identity_map copied_of; /* storage → handle of its copy */
    int file_count;
    int files[SPAWN_MOST_FILES]; /* descriptors of what workers map */
    /* The same files as the host has mapped them, while the pool starts. */
    const struct mapping *mapped[SPAWN_MOST_FILES];
};

/* --- storage by handle --- */

/* The number under which workers find the file of this mapping; -1: its tensors have to be copied.
 */
static int number_of(struct spawn *spawn, const struct mapping *mapping)
{
    for (int i = 0; i < spawn->file_count; i++)
        if (spawn->mapped[i] == mapping)
            return i;
    int descriptor = spawn->file_count < SPAWN_MOST_FILES ? mapping_reopen(mapping) : -1;
    if (descriptor < 0)
        return -1;
    spawn->mapped[spawn->file_count] = mapping;
    spawn->files[spawn->file_count] = descriptor;
    return spawn->file_count++;
}

static bool give_mapped(struct spawn *spawn, const struct storage *storage, uint64_t *handle)
{
    const struct mapping *mapping = mapping_of(storage);
    int number = mapping ? number_of(spawn, mapping) : -1;
    if (number < 0)
        return false;
    uint64_t offset = (uint64_t)((const char *)storage->data - mapping_bytes(mapping));
    *handle = offset * SPAWN_OFFSET + (uint64_t)number * SPAWN_FILE + SPAWN_MAPPED;
    return true;
}

static bool give(void *context, struct storage *storage, uint64_t *handle, const char **error)
{
    struct pool *pool = context;
    if (region_owns(storage->data)) {
        *handle = region_handle(storage->data) | (storage->shared_writable ? SPAWN_WRITABLE : 0);
        return true;
    }
    if (give_mapped(pool->spawn, storage, handle))
        return true;
    struct identity *copy = identity_find(&pool->spawn->copied_of, storage);
    *error = "out of memory";
    if (!copy)
        return false;
    if (!copy->object) {
        if (!segment_add(&pool->spawn->copies, OUTBOUND, storage->bytes, error))
            return false;
        segments_arrive(pool->spawn->copies);
        void *address = pool->spawn->copies->address;
        if (storage->bytes)
            memcpy(address, storage->data, storage->bytes);
        *copy = (struct identity){storage, region_handle(address)};
    }
    *handle = copy->note;
    return true;
}

/* --- what is started --- */

static bool try_executable(struct pool *pool, const char *folder, const char *name)
{
    char *path = pool->spawn->executable;
    int length = snprintf(path, sizeof pool->spawn->executable, "%s/%s", folder, name);
    struct stat status;
    return length < (int)sizeof pool->spawn->executable && stat(path, &status) == 0 &&
           S_ISREG(status.st_mode) && access(path, X_OK) == 0;
}

/* Finds the lkrun that workers run: this program, if it is lkrun. In another host it is looked for
 * beside core.so, in the places where it is built and installed, and then in PATH. */
static bool find_executable(struct pool *pool)
{
    if (spawn_is_lkrun) {
        snprintf(pool->spawn->executable, sizeof pool->spawn->executable, "/proc/self/exe");
        return true;
    }
    char folder[PATH_MAX] = "";
    Dl_info where;
    if (dladdr(&spawn_is_lkrun, &where) && where.dli_fname && realpath(where.dli_fname, folder)) {
        *strrchr(folder, '/') = 0;
        if (try_executable(pool, folder, "../../lkrun") ||
            try_executable(pool, folder, "../../../../bin/lkrun"))
            return true;
    }
    const char *paths = getenv("PATH");
    while (paths && *paths) {
        int length = (int)strcspn(paths, ":");
        char entry[PATH_MAX];
        snprintf(entry, sizeof entry, "%.*s", length, paths);
        if (length && try_executable(pool, entry, "lkrun"))
            return true;
        paths += length + (paths[length] == ':');
    }
    snprintf(pool->reason, sizeof pool->reason,
             "workers cannot start: there is no lkrun in %.60s/../.. or %.60s/../../../../bin, nor "
             "in PATH",
             folder, folder);
    return false;
}

static bool write_job(struct pool *pool, lua_State *L)
{
    struct spawn_job job = {.size = sizeof job,
                            .owner = pool->work.owner,
                            .shared_size = pool->work.shared_size,
                            .fetch_budget = pool->work.fetch_budget,
                            .options = pool->work.options,
                            .file_count = pool->spawn->file_count,
                            .carried = pool->carried.length};
    snprintf(job.version, sizeof job.version, "%s", LKRUN_VERSION);
    for (int i = 0; i < job.file_count; i++) {
        const struct mapping *mapping = pool->spawn->mapped[i];
        job.files[i].bytes = mapping_size(mapping);
        snprintf(job.files[i].path, sizeof job.files[i].path, "%s", mapping_path(mapping));
    }
    while (job.log_level < LOG_LEVEL_ERROR && !log_enabled((enum log_level)job.log_level))
        job.log_level++;
    size_t region_size, path_length, cpath_length;
    pool->spawn->region = region_descriptor(&region_size);
    job.region_size = region_size;
    pool->spawn->job = memfd_create("lkrun-job", MFD_CLOEXEC);
    if (pool->spawn->job < 0)
        return pool_fail(pool, "memfd_create");
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_getfield(L, -1, LUA_LOADLIBNAME);
    lua_getfield(L, -1, "path");
    lua_getfield(L, -2, "cpath");
    const char *path = luaL_optlstring(L, -2, "", &path_length);
    const char *cpath = luaL_optlstring(L, -1, "", &cpath_length);
    job.path = path_length;
    job.cpath = cpath_length;
    int descriptor = pool->spawn->job;
    bool done = file_write_all(descriptor, &job, sizeof job, FILE_WRITE_ON) &&
                file_write_all(descriptor, path, path_length, FILE_WRITE_ON) &&
                file_write_all(descriptor, cpath, cpath_length, FILE_WRITE_ON) &&
                file_write_all(descriptor, pool->carried.data, pool->carried.length, FILE_WRITE_ON);
    lua_pop(L, 4);
    return done || pool_fail(pool, "writing what workers need");
}

/* Makes source[i], for all i below `end`, a copy of the descriptor that the worker is to find under
 * number i. The copies have numbers from `end` on, so that none is overwritten when the new process
 * is given them under their final numbers. Gives 0, or errno. */
static int prepare_descriptors(struct pool *pool, struct worker *worker, int *source, int end)
{
    source[1] = worker->output_end[0];
    source[2] = worker->output_end[1];
    source[SPAWN_SHARED] = pool->shared_fd;
    source[SPAWN_RINGS] = pool->ring_fd;
    source[SPAWN_JOB] = pool->spawn->job;
    source[SPAWN_REGION] = pool->spawn->region;
    source[SPAWN_POOL_BELL] = pool->work.bell_fd;
    source[SPAWN_WORKER_BELL] = worker->bell_fd;
    for (int i = SPAWN_FILES; i < end; i++)
        source[i] = pool->spawn->files[i - SPAWN_FILES];
    int error = 0;
    for (int i = 1; i < end; i++) {
        source[i] = fcntl(source[i], F_DUPFD_CLOEXEC, end);
        if (source[i] < 0 && error == 0)
            /* The error of fcntl is EINVAL where the limit on open files is `end` or less. */
            error = errno == EINVAL ? EMFILE : errno;
    }
    return error;
}

static int start_process(struct pool *pool, int place, const int *source, int end, pid_t *pid)
{
    char number[16];
    snprintf(number, sizeof number, "%d", place);
    char *arguments[] = {"lkrun", SPAWN_ARGUMENT, number, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t all, none;
    sigfillset(&all);
    sigemptyset(&none);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF |
                                              POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    for (int i = 1; i < end; i++)
        posix_spawn_file_actions_adddup2(&actions, source[i], i);
    int error =
        posix_spawn(pid, pool->spawn->executable, &actions, &attributes, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return error;
}

static bool spawn_worker(struct pool *pool, struct worker *worker)
{
    int place = (int)(worker - pool->workers);
    int source[SPAWN_FILES + SPAWN_MOST_FILES], end = SPAWN_FILES + pool->spawn->file_count;
    pid_t pid = 0;
    int error = prepare_descriptors(pool, worker, source, end);
    const char *what = error ? "fcntl" : pool->spawn->executable;
    if (error == 0)
        error = start_process(pool, place, source, end, &pid);
    for (int i = 1; i < end; i++)
        if (source[i] >= 0)
            close(source[i]);
    worker->starting = false;
    if (error) {
        errno = error;
        return pool_fail(pool, what);
    }
    atomic_store(&worker->shared->pid, pid);
    worker->pid = pid;
    worker->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    return true;
}

/* --- beginning and end --- */

static void forget(struct pool *pool)
{
    if (!pool->spawn)
        return;
    if (pool->spawn->job >= 0)
        close(pool->spawn->job);
    for (int i = 0; i < pool->spawn->file_count; i++)
        close(pool->spawn->files[i]);
    segments_free(&pool->spawn->copies);
    identity_end(&pool->spawn->copied_of);
    free(pool->spawn);
    pool->spawn = NULL;
}

static bool start(struct pool *pool, lua_State *L)
{
    static const char *const names[] = {"func", "model"};
    const struct carry_port port = {pool, give, NULL};
    pool->spawn = calloc(1, sizeof *pool->spawn);
    if (!pool->spawn)
        return pool_fail(pool, "memory");
    pool->spawn->job = -1;
    identity_begin(&pool->spawn->copied_of);
    lua_pushvalue(L, 1);
    lua_pushvalue(L, 2);
    carry_encode(L, "lk.invoker", names, 2, &port, &pool->carried);
    lua_pop(L, 2);
    if (!pool_make_shared(pool))
        return false;
    pool->started = true; /* from here on pool_start calls `stop` where something goes wrong */
    /* No fork, but the workers use segments that live now: these must not be reused before the
     * workers have ended. */
    pool->generation = region_fork_lock();
    if (pool->generation)
        region_fork_unlock();
    bool made = find_executable(pool) && write_job(pool, L);
    for (int place = 0; made && place < pool->work.options.jobs; place++)
        made = spawn_worker(pool, &pool->workers[place]);
    return made;
}

static bool can_replace(const struct pool *pool)
{
    return pool->spawn != NULL;
}

static void stop(struct pool *pool, lua_State *L)
{
    (void)L;
    processes_stop(pool);
    pool_unmake(pool);
}

const struct worker_kind spawned_workers = {.name = "spawn",
                                            .shares_by_descriptor = true,
                                            .start = start,
                                            .replace = spawn_worker,
                                            .can_replace = can_replace,
                                            .stop = stop,
                                            .forget = forget,
                                            .allow_writing = storage_share,
                                            .configuration = config_for_worker};
