/* OpenBLAS looks at its variables while it loads, so they are set for that moment and taken away
 * again. Nothing is changed while there are other threads, which may read the environment, and
 * nothing that the user set. */
#include "backend_open.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/single_threaded.h>

static void *open_library(void)
{
    return dlopen(BACKEND_LIBRARY, RTLD_NOW | RTLD_LOCAL);
}

/* It knows CPUs by their model numbers, and one younger than itself gets the kernels of a Pentium
 * 4: a matrix product then takes four times as long. Gives the kernels that such a CPU can run,
 * NULL where the library's choice stands. */
static const char *better_kernels(void *handle)
{
#ifdef __x86_64__
    void *symbol = dlsym(handle, "openblas_get_corename");
    char *(*get_corename)(void);
    memcpy(&get_corename, &symbol, sizeof symbol);
    if (!symbol || strcmp(get_corename(), "Prescott") != 0 || getenv("OPENBLAS_CORETYPE"))
        return NULL;
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512cd") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl"))
        return "SkylakeX";
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return "Haswell";
#else
    (void)handle;
#endif
    return NULL;
}

void *backend_open(int threads)
{
    if (!__libc_single_threaded)
        return open_library();
    const char *found = getenv("OPENBLAS_NUM_THREADS"); /* not the user's, then: Snakemake's */
    char *before = threads > 0 && found ? strdup(found) : NULL;
    if (threads > 0) {
        /* It starts as many threads as the machine has CPUs unless this says otherwise. */
        char text[16];
        snprintf(text, sizeof text, "%d", threads);
        setenv("OPENBLAS_NUM_THREADS", text, 1);
    }
    void *handle = open_library();
    const char *kernels = handle ? better_kernels(handle) : NULL;
    if (kernels) {
        dlclose(handle);
        setenv("OPENBLAS_CORETYPE", kernels, 1);
        handle = open_library();
        unsetenv("OPENBLAS_CORETYPE");
    }
    if (before)
        setenv("OPENBLAS_NUM_THREADS", before, 1);
    else if (threads > 0)
        unsetenv("OPENBLAS_NUM_THREADS");
    free(before);
    return handle;
}
