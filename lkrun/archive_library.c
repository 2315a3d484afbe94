/* What always holds: `library` is whole, or `library_problem` says why it is not. */
#include "archive_library.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define ARCHIVE_LIBRARY "libarchive.so.13"

static struct archive_library library;
static pthread_once_t library_once = PTHREAD_ONCE_INIT;
static locale_t utf8;               /* 0: the system has none */
static const char *library_problem; /* NULL: none */

static void load_library(void)
{
    static char problem[360];
#define ENTRY(name) {"archive_" #name, &library.name},
    const struct {
        const char *symbol;
        void *entry;
    } entries[] = {FOR_ARCHIVE_FUNCTIONS(ENTRY)};
#undef ENTRY
    utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", 0);
    /* Lazily: of what it stands on, ICU among others, hardly anything is ever called. */
    void *handle = dlopen(ARCHIVE_LIBRARY, RTLD_LAZY | RTLD_LOCAL);
    bool found = handle;
    for (size_t i = 0; found && i < sizeof entries / sizeof *entries; i++) {
        void *symbol = dlsym(handle, entries[i].symbol);
        memcpy(entries[i].entry, &symbol, sizeof symbol);
        found = symbol;
    }
    if (!found) {
        const char *why = dlerror();
        snprintf(
            problem, sizeof problem,
            "archives need a library that could not be loaded (%.200s); install the Debian package "
            "libarchive13",
            why ? why : ARCHIVE_LIBRARY);
        library_problem = problem;
    }
}

const struct archive_library *archive_library(const char **problem)
{
    pthread_once(&library_once, load_library);
    *problem = library_problem;
    return library_problem ? NULL : &library;
}

locale_t archive_enter_utf8(void)
{
    return utf8 ? uselocale(utf8) : 0;
}

void archive_leave_utf8(locale_t before)
{
    if (before)
        uselocale(before);
}
