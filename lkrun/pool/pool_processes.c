#include "pool/pool_processes.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/channel.h"
#include "base/util.h"
#include "machine/signals.h"
#include "pool/pool_collect.h"
#include "pool/pool_fault.h"
#include "pool/pool_output.h"
#include "pool/pool_state.h"

static bool has_ended(pid_t pid)
{
    siginfo_t info = {0};
    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == pid;
}

/* Whether all workers have ended within `milliseconds`. Programs that their tasks started may go
 * on, unless the user has asked for an end with a signal. */
static bool wait_for_end(struct pool *pool, int milliseconds)
{
    uint64_t until = clock_nanoseconds() + (uint64_t)milliseconds * 1000000u;
    for (;;) {
        int left = 0;
        struct pollfd ends[8];
        nfds_t count = 0;
        for (int i = 0; i < pool->work.options.jobs; i++) {
            struct worker *worker = &pool->workers[i];
            if (worker->pid && has_ended(worker->pid)) {
                if (signal_received())
                    /* The worker is not reaped yet, so the process group still is the one that it
                     * made. */
                    kill(-worker->pid, SIGKILL);
                waitpid(worker->pid, NULL, 0);
                worker->pid = 0;
            }
            if (worker->pid && ++left && worker->pidfd >= 0 && count < 8)
                ends[count++] = (struct pollfd){.fd = worker->pidfd, .events = POLLIN};
            pool_read_output(worker); /* the worker may be waiting for room in its pipes */
        }
        uint64_t now = clock_nanoseconds();
        if (!left)
            return true;
        if (now >= until)
            return false;
        poll(ends, count, count ? 2 : 1);
    }
}

static void kill_workers(struct pool *pool)
{
    for (int i = 0; i < pool->work.options.jobs; i++) {
        struct worker *worker = &pool->workers[i];
        if (!worker->pid)
            continue;
        /* The group has what its tasks started; the worker itself may not have made its group yet.
         */
        kill(-worker->pid, SIGKILL);
        kill(worker->pid, SIGKILL);
        while (waitpid(worker->pid, NULL, 0) < 0 && errno == EINTR) {
        }
        worker->pid = 0;
    }
}

static bool is_starting(const struct pool *pool)
{
    for (int i = 0; i < pool->work.options.jobs; i++)
        if (pool->workers[i].starting)
            return true;
    return false;
}

/* The template may be forking a worker right now, whose pid has to be known before it can end. */
static void await_starting(struct pool *pool)
{
    for (int tries = 0; pool->template_pid && is_starting(pool) && tries < 10; tries++) {
        struct pollfd nudge = {.fd = pool->template_fd, .events = POLLIN};
        if (poll(&nudge, 1, 10) > 0)
            pool_template_news(pool);
    }
}

static void kill_template(struct pool *pool)
{
    if (!pool->template_pid)
        return;
    kill(pool->template_pid, SIGKILL);
    while (waitpid(pool->template_pid, NULL, 0) < 0 && errno == EINTR) {
    }
    pool->template_pid = 0;
}

void processes_stop(struct pool *pool)
{
    for (int i = 0; i < pool->work.options.jobs && pool->workers; i++) {
        if (!pool->workers[i].shared)
            continue;
        atomic_store(&pool->workers[i].shared->stop, 2);
        doorbell_ring(&pool->workers[i].shared->bell, pool->workers[i].bell_fd);
    }
    pool_learn_pids(pool);
    await_starting(pool);
    if (!wait_for_end(pool, 100))
        kill_workers(pool);
    kill_template(pool);
    pool_learn_pids(pool); /* the template may have forked more of them meanwhile */
    kill_workers(pool);
    for (int i = 0; i < pool->work.options.jobs; i++) {
        pool_drain(pool, &pool->workers[i], 0); /* what the worker sent before its end */
        pool_flush_output(&pool->workers[i]);
    }
}
