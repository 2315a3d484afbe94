/* Pages mapped before they are written.
 *
 * A page of the region costs each process that touches it a fault, dearer than copying the page;
 * the kernel maps many at once for a fraction of that. Which parts this process has had mapped is
 * kept, since asking again is not free either. A note that is out of date costs time and nothing
 * else.
 *
 * What always holds: a granule is noted only if all of its pages were mapped at once. */
#include "memory/region.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

#define GRANULE ((uint64_t)1 << 20)

static struct {
    pthread_mutex_t lock;
    pid_t process; /* whose mappings they are */
    uint8_t *is_warm;
    size_t count;
} granules = {.lock = PTHREAD_MUTEX_INITIALIZER};

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

void region_warm(void *segment, size_t bytes)
{
    uint64_t start = region_handle(segment), end = start + bytes;
    pthread_mutex_lock(&granules.lock);
    if (have_room_for((size_t)(end / GRANULE + 1)))
        for (uint64_t at = start; at < end;) {
            uint64_t granule = at / GRANULE, next = (granule + 1) * GRANULE;
            uint64_t stop = next < end ? next : end;
            if (!granules.is_warm[granule]) {
                /* Where the kernel can't, pages come one by one as they are touched. */
                madvise((char *)segment + (at - start), (size_t)(stop - at), MADV_POPULATE_WRITE);
                granules.is_warm[granule] = at % GRANULE == 0 && stop == next;
            }
            at = stop;
        }
    pthread_mutex_unlock(&granules.lock);
}

void region_cool(void *segment, size_t bytes)
{
    uint64_t start = region_handle(segment), end = start + bytes;
    pthread_mutex_lock(&granules.lock);
    for (uint64_t granule = start / GRANULE; granule * GRANULE < end && granule < granules.count;
         granule++)
        granules.is_warm[granule] = 0;
    pthread_mutex_unlock(&granules.lock);
}
