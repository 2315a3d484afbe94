/* A worker that is a process: a fork of the host or its template, which has inherited the model,
 * func and all that they reach, or a new process that was sent them (worker_spawned.c). It never
 * returns into the stack that it inherited and never runs code that belongs to the host, such as
 * its exit handlers and finalizers. */
#include "worker/worker_process.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <lauxlib.h>

#include "machine/bind.h"
#include "machine/config.h"
#include "memory/collector.h"
#include "memory/mapping.h"
#include "memory/region.h"
#include "memory/segment.h"
#include "memory/storage.h"
#include "screen/progress.h"
#include "worker/worker.h"
#include "worker/worker_limits.h"
#include "worker/worker_reports.h"
#include "worker/worker_site.h"
#include "worker/workplace.h"

/* The worker that this process is, for the handlers of signals and exit. */
static struct worker_site *own_site;

/* exit(3), from os.exit or C code, ends the worker without the host's atexit handlers. */
static void on_worker_exit(int status, void *unused)
{
    (void)unused;
    if (getpid() == own_site->pid)
        worker_leave(status);
}

static void on_fork(void)
{
    if (own_site)
        own_site->forked = true;
}

static int worker_os_exit(lua_State *L)
{
    int status = lua_isboolean(L, 1) ? (lua_toboolean(L, 1) ? EXIT_SUCCESS : EXIT_FAILURE)
                                     : (int)luaL_optinteger(L, 1, EXIT_SUCCESS);
    on_worker_exit(status, NULL);
    worker_leave(status);
}

static void take_streams(const struct worker_seat *seat)
{
    int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    dup2(nothing, 0);
    dup2(seat->output_end[0], 1);
    dup2(seat->output_end[1], 2);
    close(nothing);
}

/* The handlers of the host's signals are reset by now: in a fork by leave_group (pool_template.c),
 * in a spawned worker by signals_enter_worker. What a fork has from the template is undone here:
 * its handler of SIGTERM, and its mask, which blocks that signal. */
static void take_signals(void)
{
    signal(SIGTERM, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void on_host_gone(int signal_number)
{
    (void)signal_number;
    kill(0, SIGKILL); /* the whole group, this process included */
}

/* Arranges that this worker ends when the host does. The template then ends what the tasks of a
 * forked worker started; a spawned worker has no template, and ends its process group itself. */
static void end_with_host(const struct workplace *workplace, const struct worker_seat *seat)
{
    int end = SIGKILL;
    if (!seat->has_template) {
        end = SIGRTMAX - 1;
        signal(end, on_host_gone);
    }
    /* The signal comes when the thread that forked this process ends. If the host ended before this
     * call, no signal comes. */
    prctl(PR_SET_PDEATHSIG, end);
    if (getppid() != workplace->owner)
        _exit(0);
}

_Noreturn void worker_main(const struct workplace *workplace, lua_State *L,
                           const struct worker_seat *seat)
{
    /* A group of its own is out of reach of the terminal's Ctrl-C, and the host can kill the worker
     * together with what its tasks started. */
    setpgid(0, 0);
    end_with_host(workplace, seat);
    take_signals();
    mapping_enter_worker();
    take_streams(seat);
    struct worker_site *site = worker_open_site(workplace, seat->place, seat->bell_fd);
    if (!site)
        _exit(EXIT_FAILURE);
    own_site = site;
    site->is_process = true;
    pthread_atfork(NULL, NULL, on_fork);
    bind_enter_worker(seat->place);
    region_enter_worker();
    segments_enter_worker();
    collector_enter_worker(L, workplace->options.memory_limit);
    config_enter_worker(&workplace->options.worker);
    progress_install(L);
    progress_enter_worker();
    worker_install_reports(site);
    write_epoch++; /* makes the storage that was inherited read-only */
    on_exit(on_worker_exit, NULL);
    /* The new coroutine is kept alive by L's stack, which nobody touches again. */
    lua_State *own = lua_newthread(L);
    lua_sethook(own, NULL, 0, 0);
    lua_pushvalue(L, 1);
    lua_pushvalue(L, 2);
    lua_xmove(L, own, 2);
    if (lua_getglobal(own, "os") == LUA_TTABLE) {
        lua_pushcfunction(own, worker_os_exit);
        lua_setfield(own, -2, "exit");
    }
    lua_settop(own, 2);
    limits_enter_worker(site, own);
    worker_serve(site, own);
    worker_leave(EXIT_SUCCESS);
}
