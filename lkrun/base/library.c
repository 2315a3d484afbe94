/* library_load never unloads a library, not even one that lacks a function. */
#include "base/library.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

const char *library_fill(void *handle, const struct library_symbol *symbols, size_t count,
                         void *functions)
{
    for (size_t i = 0; i < count; i++) {
        void *found = dlsym(handle, symbols[i].name);
        if (!found)
            return symbols[i].name;
        memcpy((char *)functions + symbols[i].offset, &found, sizeof found);
    }
    return NULL;
}

bool library_load(struct library *library, void *functions)
{
    void *handle = dlopen(library->file, library->mode);
    if (handle && !library_fill(handle, library->symbols, library->count, functions))
        return true;
    const char *why = dlerror();
    snprintf(library->problem, sizeof library->problem,
             "%s could not be loaded (%.200s); install the Debian package %s", library->subject,
             why ? why : library->file, library->package);
    return false;
}
