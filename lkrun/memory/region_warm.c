/* Pages mapped before they are written.
 *
 * Every page of the region costs each process that touches it a page fault, which takes longer than
 * copying the page; the kernel maps many pages at once for a fraction of that. Asking the kernel
 * again is not free either, so this file notes which granules of the region this process has
 * already had mapped. A note that is out of date costs time and nothing else; that is why the notes
 * can be kept by offset alone, whichever region the offset is in.
 *
 * What always holds: a granule is noted only if all of its pages were mapped at once. */
#include "memory/region_warm.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

#define GRANULE ((uint64_t)1 << 20) /* bytes */

static struct {
    pthread_mutex_t lock;
    pid_t process;    /* that the notes are about: a forked child starts with none */
    uint8_t *is_warm; /* [count], by offset / GRANULE */
    size_t count;
} granules = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Under the lock; false: out of memory. */
static bool have_room_for(size_t count)
{
    pid_t now = getpid();
    if (granules.process != now) {
        granules.process = now;
        if (granules.is_warm)
            memset(granules.is_warm, 0, granules.count);
    }
    if (count <= granules.count)
        return true;
    uint8_t *more = realloc(granules.is_warm, count * 2);
    if (!more)
        return false;
    memset(more + granules.count, 0, count * 2 - granules.count);
    granules.is_warm = more;
    granules.count = count * 2;
    return true;
}

void region_warm(void *segment, uint64_t offset, size_t bytes)
{
    uint64_t end = offset + bytes;
    pthread_mutex_lock(&granules.lock);
    if (have_room_for((size_t)(end / GRANULE + 1)))
        for (uint64_t at = offset; at < end;) {
            uint64_t granule = at / GRANULE, next = (granule + 1) * GRANULE;
            uint64_t stop = next < end ? next : end;
            if (!granules.is_warm[granule]) {
                /* A kernel that can't do this maps the pages one by one as they are touched. */
                madvise((char *)segment + (at - offset), (size_t)(stop - at), MADV_POPULATE_WRITE);
                granules.is_warm[granule] = at % GRANULE == 0 && stop == next;
            }
            at = stop;
        }
    pthread_mutex_unlock(&granules.lock);
}

void region_cool(uint64_t offset, size_t bytes)
{
    uint64_t end = offset + bytes;
    pthread_mutex_lock(&granules.lock);
    for (uint64_t granule = offset / GRANULE; granule * GRANULE < end && granule < granules.count;
         granule++)
        granules.is_warm[granule] = 0;
    pthread_mutex_unlock(&granules.lock);
}
