/* What always holds: `library` is whole, or `library_problem` says why it is not. */
#include "libedit.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <string.h>

#define LIBEDIT "libedit.so.2"

static struct libedit library;
static const char *library_problem; /* NULL: none */

static void load_library(void)
{
    static char problem[360];
    const struct {
        const char *symbol;
        void *entry;
    } entries[] = {
        {"el_init", &library.init},
        {"el_end", &library.end},
        {"el_gets", &library.gets},
        {"el_set", &library.set},
        {"el_push", &library.push},
        {"el_source", &library.source},
        {"el_resize", &library.resize},
        {"el_cursor", &library.cursor},
        {"el_insertstr", &library.insert},
        {"el_winsertstr", &library.insert_wide},
        {"el_line", &library.line},
        {"el_wline", &library.line_wide},
        {"history_init", &library.history_init},
        {"history_end", &library.history_end},
        {"history", &library.history},
    };
    void *handle = dlopen(LIBEDIT, RTLD_NOW | RTLD_LOCAL);
    bool found = handle;
    for (size_t i = 0; found && i < sizeof entries / sizeof *entries; i++) {
        void *symbol = dlsym(handle, entries[i].symbol);
        memcpy(entries[i].entry, &symbol, sizeof symbol);
        found = symbol;
    }
    if (!found) {
        const char *why = dlerror();
        snprintf(problem, sizeof problem,
                 "no line editing: the library could not be loaded (%.200s); "
                 "install the Debian package libedit2",
                 why ? why : LIBEDIT);
        library_problem = problem;
    }
}

const struct libedit *libedit_library(const char **problem)
{
    static bool tried;
    if (!tried)
        load_library();
    tried = true;
    *problem = library_problem;
    return library_problem ? NULL : &library;
}
