#include "pool/pool_life.h"

#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "pool/pool_fork.h"
#include "pool/pool_shared.h"
#include "pool/pool_spawn.h"
#include "pool/pool_state.h"
#include "pool/pool_threads.h"

const struct worker_kind *pool_kind(const char *name)
{
    static const struct worker_kind *const kinds[] = {&forked_workers, &thread_workers,
                                                      &spawned_workers};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i]->name, name) == 0)
            return kinds[i];
    return NULL;
}

/* A worker process gets its parent-death signal when the thread that made it ends, so only the main
 * thread, which ends last, may make any. */
static bool is_main_thread(void)
{
    return syscall(SYS_gettid) == getpid();
}

bool pool_start(struct pool *pool, lua_State *L)
{
    pool_count_forks();
    pool->forks = fork_count;
    pool->work.owner = getpid();
    pool->work.bell_fd = pool->template_fd = pool->template_end = -1;
    pool->shared_fd = pool->ring_fd = -1;
    if (!pool->kind->in_this_process && !is_main_thread()) {
        snprintf(pool->reason, sizeof pool->reason,
                 "workers cannot start from this thread; processes are made on the main thread "
                 "alone (workers = \"threads\" works everywhere)");
        return false;
    }
    if (pool->kind->start(pool, L))
        return true;
    if (pool->started)
        pool_stop(pool, L);
    else
        pool_unmake(pool);
    return false;
}

void pool_stop(struct pool *pool, lua_State *L)
{
    if (!pool->started || getpid() != pool->work.owner)
        return;
    pool->started = false;
    pool->kind->stop(pool, L);
}
