/* Libraries that are loaded on first use: their functions as a struct of pointers. */
#ifndef LKRUN_LIBRARY_H
#define LKRUN_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>

/* A function of the library, and where in the struct its pointer goes. */
struct library_symbol {
    const char *name;
    size_t offset;
};

struct library {
    const char *file;    /* as dlopen takes it */
    int mode;            /* of dlopen */
    const char *subject; /* what the message on a failure begins with: "the library" */
    const char *package; /* the Debian package that has it */
    const struct library_symbol *symbols;
    size_t count;
    char problem[360]; /* why it can't be used; empty: it can be used */
};

/* Loads the library and fills the struct `functions`. False, with `problem` filled in, where a part
 * of it is missing. To be called once, by one thread. */
bool library_load(struct library *library, void *functions);

/* Fills `functions` from a loaded library. Gives NULL, or the first name that is missing. */
const char *library_fill(void *handle, const struct library_symbol *symbols, size_t count,
                         void *functions);

#endif
