/* Three things must always hold.
 *
 * The library is loaded once, under `mutex`, and `backend` is whole before `loaded` says so;
 * neither changes afterwards.
 *
 * The fork gate: a thread is inside BLAS between the moment its counter goes up while it sees
 * `forking` false and the moment the counter goes down. Both sides write first and look second, in
 * one total order, so that a fork and a thread that enters cannot both have missed the other. The
 * counters are spread over cache lines so that threads at work do not share one.
 *
 * The thread count: `wanted` holds in a thread when the thread's `applied` equals `wish`. A pthread
 * build of OpenBLAS has one count for the process; an OpenMP build takes it from a variable that
 * every thread has for itself, so there each thread sets it before its next call. */
#include "machine/backend.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine/backend_open.h"
#include "base/library.h"
#include "machine/snakemake.h"
#include "base/util.h"

#define PARALLEL_OPENMP 2

static struct backend backend;
static atomic_bool loaded;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static atomic_int wanted = -1;         /* threads; -1: the backend is left alone */
static atomic_uint wish;               /* goes up when `wanted` changes */
static unsigned process_applied;       /* the `wish` that any thread applied last */
static _Thread_local unsigned applied; /* the `wish` that this thread applied last */

static bool in_worker;
/* Whether this process is a fork that inherited libgomp, perhaps in use: it would hang when it
 * calls libgomp. OpenBLAS is then kept at one thread, with which it does not call it. */
static bool openmp_inherited;

/* ---- The fork gate ---- */

#define GATE_COUNTERS 16

static struct {
    _Alignas(64) atomic_int inside;
} gate[GATE_COUNTERS];
static atomic_bool forking;
static pthread_mutex_t gate_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gate_moved = PTHREAD_COND_INITIALIZER;
static pthread_mutex_t fork_mutex = PTHREAD_MUTEX_INITIALIZER;

static _Thread_local int depth; /* calls of backend_enter without their backend_leave */
/* Index in `gate` of this thread's counter; -1: it has none yet. */
static _Thread_local int counter = -1;

static int own_counter(void)
{
    static atomic_uint next;
    if (counter < 0)
        counter = (int)(atomic_fetch_add_explicit(&next, 1, memory_order_relaxed) % GATE_COUNTERS);
    return counter;
}

static void gate_wake(void)
{
    pthread_mutex_lock(&gate_mutex);
    pthread_cond_broadcast(&gate_moved);
    pthread_mutex_unlock(&gate_mutex);
}

void backend_enter(void)
{
    if (depth++ > 0)
        return;
    atomic_int *inside = &gate[own_counter()].inside;
    for (;;) {
        atomic_fetch_add(inside, 1);
        if (!atomic_load(&forking))
            return;
        atomic_fetch_sub(inside, 1);
        gate_wake();
        pthread_mutex_lock(&gate_mutex);
        while (atomic_load(&forking))
            pthread_cond_wait(&gate_moved, &gate_mutex);
        pthread_mutex_unlock(&gate_mutex);
    }
}

void backend_leave(void)
{
    if (--depth > 0)
        return;
    atomic_fetch_sub(&gate[counter].inside, 1);
    if (atomic_load(&forking))
        gate_wake();
}

static bool anybody_inside(void)
{
    for (int i = 0; i < GATE_COUNTERS; i++)
        if (atomic_load(&gate[i].inside))
            return true;
    return false;
}

void backend_fork_lock(void)
{
    pthread_mutex_lock(&fork_mutex);
    atomic_store(&forking, true);
    pthread_mutex_lock(&gate_mutex);
    while (anybody_inside())
        pthread_cond_wait(&gate_moved, &gate_mutex);
    pthread_mutex_unlock(&gate_mutex);
}

void backend_fork_unlock(void)
{
    atomic_store(&forking, false);
    gate_wake();
    pthread_mutex_unlock(&fork_mutex);
}

void backend_enter_worker(void)
{
    for (int i = 0; i < GATE_COUNTERS; i++)
        atomic_store(&gate[i].inside, 0);
    atomic_store(&forking, false);
    gate_mutex = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    gate_moved = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
    fork_mutex = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    mutex = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    depth = 0;
    in_worker = true;
    if (backend_is_loaded() && backend.get_parallel() == PARALLEL_OPENMP) {
        openmp_inherited = true;
        atomic_fetch_add(&wish, 1);
    }
}

/* ---- How many threads ---- */

/* What the user's environment tells the library itself; read once. Values that Snakemake sets for
 * every library do not count: by them each worker would take all threads of the job. */
static struct {
    const char *variable; /* NULL: nothing is set */
    /* The count that an OpenMP build must be told, because it does not read the variable; 0:
     * none. */
    int openmp_threads;
} user;

static void read_user(void)
{
    static const char *const names[] = {"OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS",
                                        "OMP_NUM_THREADS"};
    int snakemake = snakemake_threads();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = getenv(names[i]);
        if (!value || !*value || (snakemake && atoi(value) == snakemake))
            continue;
        if (!user.variable) {
            user.variable = names[i];
            user.openmp_threads = atoi(value);
        }
        /* An OpenMP build reads this one itself. */
        if (strcmp(names[i], "OMP_NUM_THREADS") == 0)
            user.openmp_threads = 0;
    }
}

/* The variable by which the user set the library's threads, or NULL. */
static const char *user_variable(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, read_user);
    return user.variable;
}

/* The number of threads that the library is to be given; -1: it is left alone. */
static int threads_to_set(bool openmp)
{
    if (openmp_inherited)
        return 1;
    if (user_variable())
        return openmp && user.openmp_threads > 0 ? user.openmp_threads : -1;
    return atomic_load(&wanted);
}

/* Gives the library the number of threads that holds for this thread. */
static void apply_threads(void)
{
    backend_enter();
    pthread_mutex_lock(&mutex);
    unsigned now = atomic_load(&wish);
    bool own = backend.get_parallel() == PARALLEL_OPENMP; /* each thread has a count of its own */
    int threads = threads_to_set(own);
    if (threads > 0 && (own || process_applied != now))
        backend.set_num_threads(threads);
    process_applied = now;
    applied = now;
    pthread_mutex_unlock(&mutex);
    backend_leave();
}

void backend_set_threads(int threads)
{
    (void)user_variable(); /* reads the environment before anybody changes it */
    atomic_store(&wanted, threads);
    atomic_fetch_add(&wish, 1);
    if (backend_is_loaded())
        apply_threads();
}

int backend_threads(void)
{
    return backend_is_loaded() ? backend.get_num_threads() : 0;
}

/* ---- Loading ---- */

#define ENTRY(field, symbol)                                                                       \
    {                                                                                              \
        symbol, offsetof(struct backend, field)                                                    \
    }
#define CBLAS(name)   ENTRY(d##name, "cblas_d" #name), ENTRY(s##name, "cblas_s" #name)
#define LAPACK(name)  ENTRY(d##name, "d" #name "_"), ENTRY(s##name, "s" #name "_")
#define CONTROL(name) ENTRY(name, "openblas_" #name)

static const struct library_symbol symbols[] = {
    CBLAS(gemv),
    CBLAS(gemm),
    CBLAS(dot),
    CBLAS(axpy),
    CBLAS(scal),
    CBLAS(nrm2),
    CBLAS(syrk),
    CBLAS(trsm),
    CBLAS(ger),
    LAPACK(potrf),
    LAPACK(potrs),
    LAPACK(posv),
    CONTROL(set_num_threads),
    CONTROL(get_num_threads),
    CONTROL(get_config),
    CONTROL(get_parallel),
};

/* Fills `backend`. False, with `problem` filled in, where the library can't be used. */
static bool load_library(char *problem, size_t size)
{
    if (in_worker) {
        void *openmp = dlopen("libgomp.so.1", RTLD_NOW | RTLD_NOLOAD);
        openmp_inherited = openmp != NULL;
        if (openmp)
            dlclose(openmp);
    }
    /* Where the user has set a variable, the library reads it itself. */
    void *handle = backend_open(user_variable() ? -1 : threads_to_set(false));
    if (!handle) {
        snprintf(problem, size, "%s", dlerror());
        return false;
    }
    struct backend found;
    const char *missing = library_fill(handle, symbols, sizeof symbols / sizeof *symbols, &found);
    if (missing) {
        snprintf(problem, size, BACKEND_LIBRARY " has no %s", missing);
        dlclose(handle);
        return false;
    }
    backend = found;
    openmp_inherited = openmp_inherited && backend.get_parallel() == PARALLEL_OPENMP;
    return true;
}

bool backend_is_loaded(void)
{
    return atomic_load_explicit(&loaded, memory_order_acquire);
}

const struct backend *backend_load(lua_State *L)
{
    if (!backend_is_loaded()) {
        char problem[256];
        backend_enter();
        pthread_mutex_lock(&mutex);
        bool ready = backend_is_loaded() || load_library(problem, sizeof problem);
        if (ready)
            atomic_store_explicit(&loaded, true, memory_order_release);
        pthread_mutex_unlock(&mutex);
        backend_leave();
        if (!ready)
            raise_error(
                L, "backend",
                "OpenBLAS could not be loaded (%s); install the Debian package libopenblas0",
                problem);
        apply_threads();
    } else if (applied != atomic_load_explicit(&wish, memory_order_relaxed)) {
        apply_threads();
    }
    return &backend;
}

/* ---- lkrun.core.backend ---- */

static int l_load(lua_State *L)
{
    backend_load(L);
    return 0;
}

static int l_set_threads(lua_State *L)
{
    lua_Integer threads = luaL_checkinteger(L, 1);
    luaL_argcheck(L, threads == -1 || (threads >= 1 && threads <= 1000000), 1,
                  "expected -1, or a number from 1 to 1000000");
    backend_set_threads((int)threads);
    return 0;
}

static int l_threads(lua_State *L)
{
    lua_pushinteger(L, backend_threads());
    return 1;
}

/* describe() → {loaded, threads, variable, config, parallel}; the last two once it is loaded. */
static int l_describe(lua_State *L)
{
    static const char *const parallel[] = {"sequential", "pthread", "openmp"};
    lua_createtable(L, 0, 5);
    lua_pushboolean(L, backend_is_loaded());
    lua_setfield(L, -2, "loaded");
    lua_pushstring(L, user_variable());
    lua_setfield(L, -2, "variable");
    lua_pushinteger(L, backend_threads());
    lua_setfield(L, -2, "threads");
    if (backend_is_loaded()) {
        int kind = backend.get_parallel();
        lua_pushstring(L, backend.get_config());
        lua_setfield(L, -2, "config");
        lua_pushstring(L, kind >= 0 && kind <= PARALLEL_OPENMP ? parallel[kind] : "unknown");
        lua_setfield(L, -2, "parallel");
    }
    return 1;
}

static const luaL_Reg functions[] = {
    {"load", l_load},       {"set_threads", l_set_threads},
    {"threads", l_threads}, {"describe", l_describe},
    {NULL, NULL},
};

int luaopen_lkrun_core_backend(lua_State *L);
int luaopen_lkrun_core_backend(lua_State *L)
{
    luaL_newlib(L, functions);
    return 1;
}
