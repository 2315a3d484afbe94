/* A new region has no name in any file system, and takes no memory before its pages are touched. */
#include "memory/region_make.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/util.h"

static _Thread_local char message[200];

static bool parse_size(const char *text, size_t *bytes)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno || *end || end == text || *text == '-' || value < 1 << 20)
        return false;
    *bytes = (size_t)value / PAGE * PAGE;
    return true;
}

static bool map_region(struct region *region, size_t size)
{
    if (!file_resize(region->fd, size))
        return false;
    char *base =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, region->fd, 0);
    if (base == MAP_FAILED)
        return false;
    size_t pages = size / PAGE;
    struct span *spans = mmap(NULL, pages * sizeof *spans, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (spans == MAP_FAILED) {
        munmap(base, size);
        return false;
    }
    region->base = base;
    region->size = size;
    region->pages = (uint32_t)pages;
    region->spans = spans;
    return true;
}

/* The machine's memory; but at most half of a limit on address space (ulimit -v), because the rest
 * of the program needs some too. */
static size_t usual_size(void)
{
    size_t size = (size_t)sysconf(_SC_PHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE);
    struct rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur / 2 < size)
        size = (size_t)(limit.rlim_cur / 2);
    return size;
}

bool region_make(struct region *made, const char **error)
{
    const char *setting = getenv("LK_REGION_SIZE");
    bool asked = setting && *setting;
    size_t size = usual_size();
    *error = message;
    if (asked && !parse_size(setting, &size)) {
        snprintf(message, sizeof message,
                 "LK_REGION_SIZE is '%.40s'; expected a number of bytes, at least 1048576",
                 setting);
        return false;
    }
    struct region region = {.waiting = NONE};
    region.fd = memfd_create("lkrun", MFD_CLOEXEC);
    if (region.fd < 0) {
        snprintf(message, sizeof message, "no shared memory: memfd_create: %s", strerror(errno));
        return false;
    }
    size &= ~(size_t)(PAGE - 1);
    /* Where the usual size is refused, a smaller region is made; one that the user asked for has
     * the size asked for, or is an error. */
    while (!map_region(&region, size)) {
        if (asked || size < (64 << 20)) {
            snprintf(message, sizeof message, "no shared memory: mapping %zu bytes: %s%s", size,
                     strerror(errno), errno == EFBIG ? "; raise the limit, ulimit -f" : "");
            close(region.fd);
            return false;
        }
        size = size / 2 / PAGE * PAGE;
    }
    for (int i = 0; i < BINS; i++)
        region.bin[i] = NONE;
    *made = region;
    return true;
}
