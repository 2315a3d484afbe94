/* Workers that are forks of the host: the first is forked by the host itself, all others by the
 * template. What always holds: `with_template` and `next` lead to every pool of this process that
 * has a template, so that a forked process can close the host's ends of all their sockets. */
#include "pool/pool_fork.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "machine/backend.h"
#include "machine/bind.h"
#include "machine/config.h"
#include "memory/collector.h"
#include "memory/region.h"
#include "memory/storage.h"
#include "pool/flight.h"
#include "pool/pool_collect.h"
#include "pool/pool_fault.h"
#include "pool/pool_processes.h"
#include "pool/pool_shared.h"
#include "pool/pool_state.h"
#include "pool/pool_template.h"
#include "worker/worker_shared.h"

static struct pool *with_template; /* all pools of this process whose workers are forked */

/* Forks the first worker and the template while nothing else holds a lock that they would inherit.
 * False with errno set. */
static bool fork_both(struct pool *pool, lua_State *L)
{
    fflush(NULL);
    backend_fork_lock();
    pool->generation = region_fork_lock();
    bool forked = pool->generation && template_fork(pool, L);
    int reason = errno;
    if (pool->generation)
        region_fork_unlock();
    backend_fork_unlock();
    bind_forget();
    errno = reason;
    return forked;
}

static bool start(struct pool *pool, lua_State *L)
{
    if (!bind_prepare(pool->work.options.jobs,
                      pool->work.options.worker.value[KNOB_BACKEND_THREADS], pool->reason,
                      sizeof pool->reason) ||
        !pool_make_shared(pool))
        return false;
    if (!config_prepare_worker(&pool->work.options.worker))
        return pool_fail(pool, "memory");
    collector_hold(L);
    pool->next = with_template;
    if (!fork_both(pool, L)) {
        pool_fail(pool, "fork");
        collector_release(L);
        return false;
    }
    close(pool->template_end);
    pool->template_end = -1;
    fcntl(pool->template_fd, F_SETFL, O_NONBLOCK);
    with_template = pool;
    pool->started = true;
    return true;
}

/* Asks the template for a worker; false: it has ended. */
static bool request_worker(struct pool *pool, int place)
{
    while (pool->template_fd >= 0) {
        if (send(pool->template_fd, &place, sizeof place, MSG_NOSIGNAL) == (ssize_t)sizeof place)
            return true;
        if (errno == EAGAIN) { /* the socket is full of requests that the template has not read */
            struct pollfd socket = {.fd = pool->template_fd, .events = POLLIN | POLLOUT};
            poll(&socket, 1, -1);
        }
        pool_template_news(pool);
    }
    return false;
}

static bool replace(struct pool *pool, struct worker *worker)
{
    worker->starting = request_worker(pool, (int)(worker - pool->workers));
    return worker->starting;
}

static bool can_replace(const struct pool *pool)
{
    return pool->template_fd >= 0;
}

static void stop(struct pool *pool, lua_State *L)
{
    for (struct pool **at = &with_template; *at; at = &(*at)->next)
        if (*at == pool) {
            *at = pool->next;
            break;
        }
    processes_stop(pool);
    pool_unmake(pool);
    collector_release(L);
}

const struct worker_kind forked_workers = {.name = "processes",
                                           .has_template = true,
                                           .start = start,
                                           .replace = replace,
                                           .can_replace = can_replace,
                                           .stop = stop,
                                           .allow_writing = storage_share,
                                           .configuration = config_for_worker};

/* Ends the worker if it is in a task whose result nobody waits for. */
static void end_dropped(struct pool *pool, struct worker *worker)
{
    pool_drain(pool, worker, 0);
    uint32_t begun = claim_begun(claim_of(worker));
    if (!worker->pid || worker->killed_at || begun == worker->committed || !worker->flights.count ||
        !flights_at(&worker->flights, 0)->is_dropped)
        return;
    worker->killed_at = (uint64_t)begun + 1;
    /* The worker is not reaped yet, so the process group still is the one that it made. */
    kill(-worker->pid, SIGKILL);
}

void pool_end_dropped(void)
{
    for (struct pool *pool = with_template; pool; pool = pool->next)
        for (int i = 0; pool->work.owner == getpid() && i < pool->work.options.jobs; i++)
            end_dropped(pool, &pool->workers[i]);
}
