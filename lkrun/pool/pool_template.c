/* The template: a fork of the host that never runs user code.
 *
 * It forks all workers but the very first, as children of the host (CLONE_PARENT), so the host
 * reaps them and their parent-death signal follows the host. The kernel writes a worker's pid
 * into shared memory before the worker runs, so the host knows every worker that exists, whatever
 * happens to the template in between. The socket to the template carries requests one way (the
 * place of a worker to be made), and single bytes that say "workers were forked" the other way; its
 * end tells the template that the host is gone. */
#include "pool/pool_template.h"

#include <errno.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "machine/signals.h"
#include "pool/pool_state.h"
#include "worker/worker_process.h"
#include "worker/worker_shared.h"
#include "worker/workplace.h"

#ifndef PR_GET_TID_ADDRESS
#define PR_GET_TID_ADDRESS 40
#endif

/* Forks this process into a child of its parent. Returns as fork does. */
static int fork_beside(pid_t *pid_address)
{
    /* The C library keeps the thread's id where the kernel clears it at exit: a fork that does not
     * go through the library must set it anew, or the child would believe itself to be the parent.
     */
    int *tid_address = NULL;
    if (prctl(PR_GET_TID_ADDRESS, &tid_address) != 0)
        tid_address = NULL;
    uint64_t flags = CLONE_PARENT | CLONE_PARENT_SETTID;
    if (tid_address)
        flags |= CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID;
    struct clone_args arguments = {
        .flags = flags, .parent_tid = (uintptr_t)pid_address, .child_tid = (uintptr_t)tid_address};
    long pid = syscall(SYS_clone3, &arguments, sizeof arguments);
#if defined(__x86_64__)
    if (pid < 0 && (errno == ENOSYS || errno == EPERM))
        pid = syscall(SYS_clone, flags | SIGCHLD, NULL, pid_address, tid_address, 0);
#elif defined(__aarch64__)
    if (pid < 0 && (errno == ENOSYS || errno == EPERM))
        pid = syscall(SYS_clone, flags | SIGCHLD, NULL, pid_address, 0, tid_address);
#endif
    return (int)pid;
}

/* What the worker in this place gets for itself. */
static struct worker_seat seat_of(const struct pool *pool, int place)
{
    const struct worker *worker = &pool->workers[place];
    return (struct worker_seat){.place = place,
                                .bell_fd = worker->bell_fd,
                                .output_end = {worker->output_end[0], worker->output_end[1]},
                                .has_template = true};
}

static void fork_worker(struct pool *pool, lua_State *L, int place)
{
    struct worker_shared *shared = pool->workers[place].shared;
    int pid = fork_beside((pid_t *)&shared->pid);
    if (pid == 0) {
        /* While a worker holds this end open, the host cannot see that the template has ended. */
        close(pool->template_end);
        const struct worker_seat seat = seat_of(pool, place);
        worker_main(&pool->work, L, &seat);
    }
    if (pid < 0)
        atomic_store(&shared->start_error, errno);
}

static volatile sig_atomic_t host_is_gone;

static void on_host_death(int signal_number)
{
    (void)signal_number;
    host_is_gone = 1;
}

/* The host is gone. The workers end by their own parent-death signals; the programs that their
 * tasks started are in their process groups, which are ended here. */
_Noreturn static void end_groups(struct pool *pool)
{
    for (int i = 0; i < pool->work.options.jobs; i++) {
        int pid = atomic_load(&pool->workers[i].shared->pid);
        if (pid > 0)
            kill(-pid, SIGKILL);
    }
    _exit(0);
}

/* Takes this process out of the host's process group and resets its signals: a signal that is sent
 * to the host's group is for the host alone, and a worker must not inherit what the host handles or
 * ignores. */
static void leave_group(void)
{
    setpgid(0, 0);
    signals_enter_worker();
    for (int number = 1; number < NSIG; number++) {
        struct sigaction now;
        if (sigaction(number, NULL, &now) == 0 && now.sa_handler != SIG_DFL)
            signal(number, SIG_DFL);
    }
}

/* Closes the host's ends of all templates' sockets: while another process holds one open, that
 * template cannot see that the host has ended. */
static void close_host_ends(struct pool *pool)
{
    for (; pool; pool = pool->next) {
        if (pool->template_fd >= 0)
            close(pool->template_fd);
        /* A task may make a pool, whose processes come here again: by then the number is another
         * file's. */
        pool->template_fd = -1;
    }
}

_Noreturn static void template_main(struct pool *pool, lua_State *L)
{
    leave_group();
    signal(SIGTERM, on_host_death);
    sigset_t blocked, open;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    sigprocmask(SIG_BLOCK, &blocked, &open);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != pool->work.owner)
        _exit(0);
    close_host_ends(pool);
    for (int i = 1; i < pool->work.options.jobs; i++)
        fork_worker(pool, L, i);
    struct pollfd socket = {.fd = pool->template_end, .events = POLLIN};
    int place;
    /* Each turn tells the host that workers were forked, and waits for a request. */
    while (send(pool->template_end, "", 1, MSG_NOSIGNAL) == 1) {
        while (ppoll(&socket, 1, NULL, &open) < 0 && errno == EINTR && !host_is_gone) {
        }
        if (host_is_gone || recv(pool->template_end, &place, sizeof place, 0) != sizeof place)
            break;
        fork_worker(pool, L, place);
    }
    end_groups(pool);
}

bool template_fork(struct pool *pool, lua_State *L)
{
    struct worker_shared *shared = pool->workers[0].shared;
    pid_t pid = fork();
    if (pid == 0) {
        leave_group();
        close_host_ends(pool);
        close(pool->template_end);
        const struct worker_seat seat = seat_of(pool, 0);
        worker_main(&pool->work, L, &seat);
    }
    if (pid < 0)
        return false;
    atomic_store(&shared->pid, pid);
    pool->template_pid = fork();
    if (pool->template_pid == 0)
        template_main(pool, L);
    if (pool->template_pid > 0)
        return true;
    int reason = errno;
    pool->template_pid = 0;
    kill(pid, SIGKILL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
    errno = reason;
    return false;
}
