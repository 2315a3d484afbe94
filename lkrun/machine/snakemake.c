/* Snakemake has no variable of its own for the job's threads. It sets the variable of every
 * numerical library to that same number, and four variables to the temporary folder. Users set some
 * of these variables, but nobody sets all of them alike: that is the mark of a job of Snakemake's.
 * The variables of OpenBLAS and OpenMP are not looked at, because a rule's own command may set them
 * otherwise. */
#include "machine/snakemake.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* The value that all of these variables have; NULL where one is unset, empty
 * or has another value. */
static const char *shared_value(const char *const *names, size_t count)
{
    const char *value = getenv(names[0]);
    if (!value || !*value)
        return NULL;
    for (size_t i = 1; i < count; i++) {
        const char *other = getenv(names[i]);
        if (!other || strcmp(other, value) != 0)
            return NULL;
    }
    return value;
}

#define SHARED_VALUE(names) shared_value(names, sizeof(names) / sizeof *(names))

int snakemake_threads(void)
{
    static const char *const libraries[] = {"GOTO_NUM_THREADS", "MKL_NUM_THREADS",
                                            "VECLIB_MAXIMUM_THREADS", "NUMEXPR_NUM_THREADS"};
    static const char *const folders[] = {"TEMPDIR", "TMPDIR", "TMP", "TEMP"};
    const char *threads = SHARED_VALUE(libraries);
    if (!threads || !SHARED_VALUE(folders))
        return 0;
    char *end;
    long value = strtol(threads, &end, 10);
    return *end || value < 1 || value > 1 << 20 ? 0 : (int)value;
}
