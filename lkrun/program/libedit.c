#include "program/libedit.h"

#include <dlfcn.h>

#include "base/library.h"

static const struct library_symbol symbols[] = {
    {"el_init", offsetof(struct libedit, init)},
    {"el_end", offsetof(struct libedit, end)},
    {"el_gets", offsetof(struct libedit, gets)},
    {"el_set", offsetof(struct libedit, set)},
    {"el_push", offsetof(struct libedit, push)},
    {"el_source", offsetof(struct libedit, source)},
    {"el_resize", offsetof(struct libedit, resize)},
    {"el_cursor", offsetof(struct libedit, cursor)},
    {"el_insertstr", offsetof(struct libedit, insert)},
    {"el_winsertstr", offsetof(struct libedit, insert_wide)},
    {"el_line", offsetof(struct libedit, line)},
    {"el_wline", offsetof(struct libedit, line_wide)},
    {"history_init", offsetof(struct libedit, history_init)},
    {"history_end", offsetof(struct libedit, history_end)},
    {"history", offsetof(struct libedit, history)},
};

static struct libedit functions; /* whole unless `library` has a problem */
static struct library library = {
    .file = "libedit.so.2",
    .mode = RTLD_NOW | RTLD_LOCAL,
    .subject = "no line editing: the library",
    .package = "libedit2",
    .symbols = symbols,
    .count = sizeof symbols / sizeof *symbols,
};

const struct libedit *libedit_library(const char **problem)
{
    static bool tried;
    if (!tried)
        library_load(&library, &functions);
    tried = true;
    *problem = *library.problem ? library.problem : NULL;
    return *problem ? NULL : &functions;
}
