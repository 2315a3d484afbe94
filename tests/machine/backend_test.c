/* OpenBLAS across fork: workers of a program whose threads are inside it, pthread and OpenMP
 * builds. The program starts itself again for each of the builds that Debian has. */
#include "machine/backend.h"

#include <dlfcn.h>
#include <glob.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <lauxlib.h>

#include "machine/config.h"
#include "../support/tap.h"

#define N     192 /* large enough for OpenBLAS to use threads */
#define HANG  120 /* seconds */
#define FORKS 20

static lua_State *L;

/* A product by BLAS, checked against what it must be. */
static bool multiply(void)
{
    static _Thread_local double a[N * N], b[N * N], c[N * N];
    for (int i = 0; i < N * N; i++) {
        a[i] = i % 7;
        b[i] = i % N == i / N ? 2 : 0;
    }
    const struct backend *blas = backend_load(L);
    backend_enter();
    blas->dgemm(CBLAS_ROW_MAJOR, CBLAS_NO_TRANS, CBLAS_NO_TRANS, N, N, N, 1, a, N, b, N, 0, c, N);
    backend_leave();
    for (int i = 0; i < N * N; i++)
        if (c[i] != 2 * a[i])
            return false;
    return true;
}

static bool is_openmp(void)
{
    return backend_load(L)->get_parallel() == 2;
}

/* The count that the OpenMP runtime has for this thread. */
static int openmp_threads(void)
{
    int (*omp_get_max_threads)(void) = NULL;
    void *symbol = dlsym(dlopen("libgomp.so.1", RTLD_NOW | RTLD_NOLOAD), "omp_get_max_threads");
    memcpy(&omp_get_max_threads, &symbol, sizeof symbol);
    return symbol ? omp_get_max_threads() : -1;
}

/* ---- A worker of a program that used BLAS ---- */

static const struct config four_threads = {{1, 1, 4, 1}, {0}};

static bool worker_multiplies(void)
{
    config_enter_worker(&four_threads);
    return multiply() && backend_threads() == (is_openmp() ? 1 : 4);
}

static void *multiply_here(void *correct)
{
    *(bool *)correct = multiply();
    return NULL;
}

static bool worker_multiplies_on_a_thread(void)
{
    bool correct = false;
    pthread_t thread;
    config_enter_worker(&four_threads);
    if (pthread_create(&thread, NULL, multiply_here, &correct) == 0)
        pthread_join(thread, NULL);
    return correct;
}

static bool worker_of_a_worker(void)
{
    config_enter_worker(&four_threads);
    return multiply() && tap_forked(worker_multiplies, HANG);
}

/* ---- A worker that is the first to use BLAS ---- */

static bool first_use(void)
{
    config_enter_worker(&four_threads);
    return !backend_is_loaded() && multiply() && backend_threads() == 4;
}

/* ---- Threads that are inside BLAS when a worker is forked ---- */

static atomic_bool stop;
static atomic_int inside;
static atomic_int wrong;

static void *keep_multiplying(void *unused)
{
    (void)unused;
    while (!atomic_load(&stop)) {
        if (!multiply())
            atomic_fetch_add(&wrong, 1);
        backend_enter();
        backend_enter();
        atomic_fetch_add(&inside, 1);
        backend_leave();
        atomic_fetch_sub(&inside, 1);
        backend_leave();
    }
    return NULL;
}

static void fork_among_threads(const char *build)
{
    enum { THREADS = 3 };
    pthread_t threads[THREADS];
    int started = 0, met = 0, done = 0;
    while (started < THREADS &&
           pthread_create(&threads[started], NULL, keep_multiplying, NULL) == 0)
        started++;
    for (int i = 0; i < FORKS; i++) {
        backend_fork_lock();
        met += atomic_load(&inside) != 0;
        fflush(NULL);
        pid_t pid = fork();
        if (pid == 0) {
            alarm(HANG);
            _exit(worker_multiplies() ? 0 : 1);
        }
        backend_fork_unlock();
        int status;
        done += pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
                WEXITSTATUS(status) == 0;
    }
    atomic_store(&stop, true);
    for (int i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    tap_ok(started == THREADS && met == 0, "%s: no thread is inside BLAS while a worker is forked",
           build);
    tap_ok(done == FORKS, "%s: %d of %d workers forked among busy threads multiply", build, done,
           FORKS);
    tap_ok(atomic_load(&wrong) == 0, "%s: the threads' own products are right", build);
}

/* ---- The count of threads ---- */

static void *count_here(void *counts)
{
    backend_load(L);
    ((int *)counts)[0] = openmp_threads();
    backend_set_threads(2);
    ((int *)counts)[1] = openmp_threads();
    return NULL;
}

static void count_threads(const char *build)
{
    backend_set_threads(3);
    tap_ok(backend_threads() == 3, "%s: set_threads counts at once", build);
    if (is_openmp()) {
        int counts[2] = {0, 0};
        pthread_t thread;
        bool started = pthread_create(&thread, NULL, count_here, counts) == 0;
        if (started)
            pthread_join(thread, NULL);
        tap_ok(started && counts[0] == 3, "%s: a new thread has the count that was set", build);
        backend_load(L);
        tap_ok(counts[1] == 2 && openmp_threads() == 2,
               "%s: one thread's change reaches the others", build);
    }
    backend_set_threads(2);
}

static int test_build(const char *build)
{
    tap_indent = "    ";
    L = luaL_newstate();
    backend_set_threads(2);
    tap_ok(!backend_is_loaded() && backend_threads() == 0, "%s: not loaded before it is used",
           build);
    tap_ok(tap_forked(first_use, HANG),
           "%s: a worker may be the first to load it, with its threads", build);
    tap_ok(multiply() && backend_threads() == 2,
           "%s: multiplies with the threads set before loading", build);
    tap_ok(is_openmp() == (strcmp(build, "openmp") == 0), "%s: is the build that was asked for",
           build);
    tap_ok(tap_forked(worker_multiplies, HANG), "%s: a worker multiplies, one thread under OpenMP",
           build);
    tap_ok(tap_forked(worker_multiplies_on_a_thread, HANG), "%s: a thread of a worker multiplies",
           build);
    tap_ok(tap_forked(worker_of_a_worker, HANG), "%s: a worker's own worker multiplies", build);
    tap_ok(multiply(), "%s: the program still multiplies", build);
    count_threads(build);
    fork_among_threads(build);
    lua_close(L);
    return tap_done();
}

/* Starts this program again with the build in this folder; true when all its tests passed. */
static bool run_with(const char *folder, const char *build)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(5 * HANG);
        setenv("LD_LIBRARY_PATH", folder, 1);
        execl("/proc/self/exe", "backend_test", build, (char *)NULL);
        _exit(127);
    }
    int status;
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
           WEXITSTATUS(status) == 0;
}

int main(int argc, char **argv)
{
    static const char *const builds[] = {"pthread", "openmp"};
    if (argc > 1)
        return test_build(argv[1]);
    unsetenv("OPENBLAS_NUM_THREADS");
    unsetenv("GOTO_NUM_THREADS");
    unsetenv("OMP_NUM_THREADS");
    for (size_t i = 0; i < sizeof builds / sizeof *builds; i++) {
        char pattern[64], name[64];
        glob_t folders;
        snprintf(pattern, sizeof pattern, "/usr/lib/*/openblas-%s", builds[i]);
        snprintf(name, sizeof name, "the %s build of OpenBLAS", builds[i]);
        if (glob(pattern, 0, NULL, &folders) == 0) {
            tap_ok(run_with(folders.gl_pathv[0], builds[i]), "%s", name);
            globfree(&folders);
        } else {
            tap_skip(name, "its Debian package is not installed");
        }
    }
    return tap_done();
}
