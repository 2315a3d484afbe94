/* OpenBLAS looks at its variables while it is loaded, so they are set for that moment; a variable
 * that the user has set is not changed. They are set even if the process has other threads by then:
 * otherwise OpenBLAS might choose other kernels, and those round differently. */
#include "machine/backend_open.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *open_library(void)
{
    return dlopen(BACKEND_LIBRARY, RTLD_NOW | RTLD_LOCAL);
}

/* OpenBLAS knows CPUs by their model numbers. On a CPU that is younger than the library it takes
 * the kernels of a Pentium 4, with which a matrix product takes four times as long. Gives the name
 * of better kernels that such a CPU can run; NULL: the library's own choice is right. */
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

/* Whether two texts "NAME=value" are about the same variable; `other` may be NULL. */
static bool names_same(const char *variable, const char *other)
{
    const char *end = other ? strchr(other, '=') : NULL;
    return end && strncmp(variable, other, (size_t)(end - other) + 1) == 0;
}

/* The arrays that `environ` pointed to for a moment. They are never freed, because another thread
 * may still read them. */
static char **volatile environments[2];

/* Loads the library while these variables ("NAME=value", or NULL) are in the environment. Another
 * thread that reads the environment meanwhile sees one array or the other, each of them whole. */
static void *open_under(char *first, char *second)
{
    char **before = environ;
    size_t count = 0, kept = 0;
    while (before && before[count])
        count++;
    char **during = calloc(count + 3, sizeof *during);
    if (!during)
        return open_library();
    for (size_t i = 0; i < count; i++)
        if (!names_same(before[i], first) && !names_same(before[i], second))
            during[kept++] = before[i];
    if (first)
        during[kept++] = first;
    if (second)
        during[kept++] = second;
    environments[second != NULL] = environ = during;
    void *handle = open_library();
    environ = before;
    return handle;
}

void *backend_open(int threads)
{
    static char threads_text[48], kernels_text[48];
    char *threads_variable = NULL;
    if (threads > 0) {
        /* Without this the library would start as many threads as the machine has CPUs. */
        snprintf(threads_text, sizeof threads_text, "OPENBLAS_NUM_THREADS=%d", threads);
        threads_variable = threads_text;
    }
    void *handle = open_under(threads_variable, NULL);
    const char *kernels = handle ? better_kernels(handle) : NULL;
    if (kernels) {
        /* Keeps libgomp, the runtime of an OpenMP build, loaded: one that is loaded anew would not
         * know the memory of the old one. */
        void *openmp = dlopen("libgomp.so.1", RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
        dlclose(handle);
        if (openmp)
            dlclose(openmp);
        snprintf(kernels_text, sizeof kernels_text, "OPENBLAS_CORETYPE=%s", kernels);
        handle = open_under(threads_variable, kernels_text);
    }
    return handle;
}
