/* Snakemake names the job's threads in no variable of its own. It tells them to every numerical
 * library by that library's variable, the same number to all, and the temporary folder in four
 * variables. Users set some of these; nobody sets all of them alike, so that is the mark. What a
 * rule's own command sets for OpenBLAS or OpenMP is the user's, and does not spoil it. */
#include "machine/snakemake.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* The value that all of these variables have; NULL where one is unset, empty or another. */
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
