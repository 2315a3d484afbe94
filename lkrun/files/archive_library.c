#include "files/archive_library.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>

#include "base/library.h"

#define SYMBOL(name) {"archive_" #name, offsetof(struct archive_library, name)},
static const struct library_symbol symbols[] = {FOR_ARCHIVE_FUNCTIONS(SYMBOL)};
#undef SYMBOL

static struct archive_library functions; /* all set unless `library` has a problem */
static struct library library = {
    .file = "libarchive.so.13",
    /* Lazily, because hardly anything of the libraries that it needs (ICU is one) is ever called.
     */
    .mode = RTLD_LAZY | RTLD_LOCAL,
    .subject = "archives need a library that",
    .package = "libarchive13",
    .symbols = symbols,
    .count = sizeof symbols / sizeof *symbols,
};
static pthread_once_t library_once = PTHREAD_ONCE_INIT;
static locale_t utf8; /* 0: the system has no such locale */

static void load_library(void)
{
    utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", 0);
    library_load(&library, &functions);
}

const struct archive_library *archive_library(const char **problem)
{
    pthread_once(&library_once, load_library);
    *problem = *library.problem ? library.problem : NULL;
    return *problem ? NULL : &functions;
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
