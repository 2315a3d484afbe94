/* How a signal reaches a program.
 *
 * The first SIGINT or SIGTERM becomes the Lua error `interrupted`, in one of two ways: a C function
 * that waits looks at signal_pending(), or a hook raises the error before the next instruction of
 * Lua code. A hook belongs to one coroutine; so in the executable coroutine.resume and
 * coroutine.wrap are replaced by ours, which keep the invariant: while Lua code of the main thread
 * runs, `running` is its coroutine, and while a signal is pending the hook is on `running` and on
 * no other coroutine. (A coroutine that a C library resumes without them is interrupted when it
 * yields or ends.)
 *
 * The second signal ends the process where it stands. */
#include "machine/signals.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <lauxlib.h>

#include "machine/jobserver.h"
#include "memory/mapping.h"
#include "screen/progress.h"
#include "screen/terminal_editing.h"
#include "base/util.h"

/* The same signal twice within this time is one request: GNU timeout and some shells send it to the
 * process and then to the process's group. */
#define ONE_REQUEST_NANOSECONDS 50000000u

static volatile sig_atomic_t pending;  /* signal that arrived and was not raised yet; 0: none */
static volatile sig_atomic_t received; /* signal that arrived last; 0: none */
static volatile uint64_t received_at;  /* when that was, as of clock_nanoseconds */
/* A mapped file has lost data, and the error for that is not raised yet. */
static volatile sig_atomic_t file_was_lost;
static bool is_worker; /* this process is a worker or a template */
/* In another host: signal_rethrow's caller has caught the host's own interruption, which is still
 * to be raised. */
static bool host_was_interrupted;
static int descriptor = -1; /* eventfd, readable while a signal is pending; -1: no handlers */
static pid_t owner;         /* the process that installed the handlers, not a fork of it; 0: none */
static pthread_t main_thread;
/* The coroutine that runs in this thread; NULL: no Lua code that we watch does. */
static _Thread_local lua_State *volatile running;

/* A worker that is a thread is not told of the program's signals. It gets END_SIGNAL when its task
 * is to end; from then on its hook raises before every instruction. */
#define END_SIGNAL SIGURG /* ignored where it is not handled, and hardly ever used */
static _Thread_local bool is_thread_worker;
static _Thread_local volatile sig_atomic_t ending; /* END_SIGNAL has arrived here */

/* The hook that was on `running` before ours. */
static struct {
    lua_Hook hook;
    int mask, count;
} displaced;

static void interrupt(lua_State *L, lua_Debug *activation);

static void set_hook(lua_State *L)
{
    if (lua_gethook(L) == interrupt)
        return;
    if (!is_thread_worker) {
        displaced.hook = lua_gethook(L);
        displaced.mask = lua_gethookmask(L);
        displaced.count = lua_gethookcount(L);
    }
    lua_sethook(L, interrupt, LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT, 1);
}

static void remove_hook(lua_State *L)
{
    if (lua_gethook(L) == interrupt && !is_thread_worker)
        lua_sethook(L, displaced.hook, displaced.mask, displaced.count);
}

static void raise_loss(lua_State *L)
{
    char problem[MAPPING_PROBLEM_SIZE];
    file_was_lost = 0;
    mapping_describe_loss(problem);
    lua_pushstring(L, problem);
    lua_error(L);
}

static void interrupt(lua_State *L, lua_Debug *activation)
{
    (void)activation;
    if (ending)
        signal_raise_if_pending(L);
    /* Where both a loss and a signal are to be raised, the hook stays for the signal. */
    if (!file_was_lost || !signal_pending())
        remove_hook(L);
    if (file_was_lost && !is_thread_worker)
        raise_loss(L);
    /* There may be nothing to raise: a coroutine that was made while the hook
     * was set inherited it. */
    signal_raise_if_pending(L);
}

int signal_pending(void)
{
    return is_thread_worker ? ending : pending;
}

int signal_received(void)
{
    return is_thread_worker ? ending : received;
}

int signal_descriptor(void)
{
    return is_thread_worker ? -1 : descriptor;
}

static void forget_pending(void)
{
    uint64_t count;
    pending = 0;
    if (running)
        remove_hook(running);
    if (descriptor >= 0)
        (void)!read(descriptor, &count, sizeof count);
}

/* What the hook raises that the stock interpreter's signal handler sets. */
#define HOST_INTERRUPTED "interrupted!"

static int nothing(lua_State *L)
{
    (void)L;
    return 0;
}

void signal_raise_if_pending(lua_State *L)
{
    if (host_was_interrupted) {
        host_was_interrupted = false;
        lua_pushliteral(L, HOST_INTERRUPTED);
        lua_error(L);
    }
    /* In another host, such as the stock interpreter, the host's own handler of the signal may have
     * set a hook that is to raise. Calling a function gives that hook its turn. */
    if (lua_gethookmask(L) & LUA_MASKCALL && owner != getpid()) {
        lua_pushcfunction(L, nothing);
        lua_call(L, 0, 0);
    }
    if (!signal_pending())
        return;
    if (!is_thread_worker)
        forget_pending();
    lua_pushliteral(L, INTERRUPTED);
    lua_error(L);
}

static bool ends_with(const char *message, const char *tail)
{
    size_t length = message ? strlen(message) : 0;
    return length >= strlen(tail) && strcmp(message + length - strlen(tail), tail) == 0;
}

bool signal_is_interruption(const char *message)
{
    return received && ends_with(message, INTERRUPTED);
}

void signal_rethrow(const char *message)
{
    if (descriptor < 0 && !is_worker && !is_thread_worker)
        host_was_interrupted = ends_with(message, HOST_INTERRUPTED);
    if (is_thread_worker || !signal_is_interruption(message))
        return;
    pending = received;
    (void)!write(descriptor, &(uint64_t){1}, sizeof(uint64_t));
}

void signals_rearm(void)
{
    sigset_t both, before;
    sigemptyset(&both);
    sigaddset(&both, SIGINT);
    sigaddset(&both, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &both, &before);
    if (received == SIGINT) {
        forget_pending();
        received = 0;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void end_process(int status)
{
    progress_clear();
    editing_abandon();
    jobserver_give_all();
    _exit(status);
}

static void on_interrupt(int signal_number)
{
    int saved_errno = errno;
    if (!pthread_equal(pthread_self(), main_thread)) {
        pthread_kill(main_thread, signal_number); /* that thread runs the program */
    } else if (getpid() == owner) {
        uint64_t now = clock_nanoseconds();
        bool same_request =
            received == signal_number && now - received_at < ONE_REQUEST_NANOSECONDS;
        if (received && !same_request)
            end_process(128 + signal_number);
        if (!received) {
            received_at = now;
            received = signal_number;
            pending = signal_number;
            (void)!write(descriptor, &(uint64_t){1}, sizeof(uint64_t));
            set_hook(running);
        }
    }
    errno = saved_errno;
}

/* The handler of SIGBUS calls this when a mapped file has lost data: the program's own Lua code
 * raises the error for that before its next instruction. */
static void interrupt_program(int signal_number)
{
    if (getpid() != owner || is_thread_worker)
        return;
    if (!pthread_equal(pthread_self(), main_thread)) {
        pthread_kill(main_thread, signal_number);
        return;
    }
    file_was_lost = 1;
    set_hook(running);
}

void signal_forget_loss(void)
{
    if (!is_thread_worker)
        file_was_lost = 0;
}

/* Ends the program quietly when nobody reads its standard output any more. If it is another pipe
 * that has broken, the program sees that itself: its write fails with EPIPE. */
static void on_broken_pipe(int signal_number)
{
    struct pollfd output = {.fd = STDOUT_FILENO};
    int saved_errno = errno;
    if (poll(&output, 1, 0) > 0 && (output.revents & (POLLERR | POLLHUP))) {
        if (getpid() != owner)
            _exit(128 + signal_number);
        end_process(128 + signal_number);
    }
    errno = saved_errno;
}

static void ignore(int signal_number)
{
    /* Does nothing. Unlike SIG_IGN, a handler is not inherited by the programs that a worker
     * starts. */
    (void)signal_number;
}

static void handle(int signal_number, void (*handler)(int), int flags)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    sigaction(signal_number, &action, NULL);
}

/* Ctrl-Z: takes the bars off, so that the shell's prompt does not run into one. They come back when
 * they are drawn next. */
static void on_stop(int signal_number)
{
    int saved_errno = errno;
    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, signal_number);
    if (getpid() == owner) {
        progress_clear();
        editing_suspend();
    }
    handle(signal_number, SIG_DFL, 0);
    raise(signal_number);
    pthread_sigmask(SIG_UNBLOCK, &stop, NULL); /* here the process stops, and later goes on */
    handle(signal_number, on_stop, SA_RESTART);
    if (getpid() == owner)
        editing_resume();
    errno = saved_errno;
}

static bool is_ignored(int signal_number)
{
    struct sigaction action;
    return sigaction(signal_number, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

void signals_enter_worker(void)
{
    is_worker = true;
    host_was_interrupted = false;
    if (!is_ignored(SIGINT))
        handle(SIGINT, ignore, SA_RESTART);
    if (descriptor < 0)
        return;
    if (!is_ignored(SIGTERM))
        handle(SIGTERM, SIG_DFL, 0);
    /* Closed without reading it: the parent shares the counter behind it. */
    close(descriptor);
    descriptor = -1;
    forget_pending();
    received = 0;
}

/* Makes `next` the coroutine that runs, in place of `last`. */
static void switch_coroutine(lua_State *last, lua_State *next)
{
    running = next;
    if (signal_pending() || (file_was_lost && !is_thread_worker)) {
        remove_hook(last);
        set_hook(next);
    }
}

/* Resumes `co` with the top `count` values of L. Gives the number of results on the top of L, or -1
 * with the error there. */
static int resume(lua_State *L, lua_State *co, int count)
{
    int results;
    if (!lua_checkstack(co, count)) {
        lua_pushliteral(L, "too many arguments to resume");
        return -1;
    }
    lua_xmove(L, co, count);
    switch_coroutine(L, co);
    int status = lua_resume(co, L, count, &results);
    switch_coroutine(co, L);
    if (status != LUA_OK && status != LUA_YIELD) {
        lua_xmove(co, L, 1);
        return -1;
    }
    if (!lua_checkstack(L, results + 1)) {
        lua_pop(co, results);
        lua_pushliteral(L, "too many results to resume");
        return -1;
    }
    lua_xmove(co, L, results);
    return results;
}

/* coroutine.resume, as in the reference manual. */
static int coroutine_resume(lua_State *L)
{
    lua_State *co = lua_tothread(L, 1);
    luaL_argexpected(L, co, 1, "coroutine");
    int results = resume(L, co, lua_gettop(L) - 1);
    lua_pushboolean(L, results >= 0);
    if (results < 0)
        results = 1;
    lua_insert(L, -(results + 1));
    return results + 1;
}

/* The function that coroutine.wrap gives. */
static int call_wrapped(lua_State *L)
{
    lua_State *co = lua_tothread(L, lua_upvalueindex(1));
    int results = resume(L, co, lua_gettop(L));
    if (results >= 0)
        return results;
    int status = lua_status(co);
    if (status != LUA_OK && status != LUA_YIELD) { /* the error has ended the coroutine */
        status = lua_resetthread(co);              /* closes its to-be-closed variables */
        if (status != LUA_OK)
            lua_xmove(co, L, 1); /* that error, or one that was raised while closing */
    }
    if (status != LUA_ERRMEM && lua_type(L, -1) == LUA_TSTRING) {
        luaL_where(L, 1);
        lua_insert(L, -2);
        lua_concat(L, 2);
    }
    return lua_error(L);
}

/* coroutine.wrap, as in the reference manual. */
static int coroutine_wrap(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_State *co = lua_newthread(L);
    lua_pushvalue(L, 1);
    lua_xmove(L, co, 1);
    lua_pushcclosure(L, call_wrapped, 1);
    return 1;
}

/* Replaces coroutine.resume and coroutine.wrap in this state, whose main thread is L. */
static void watch_coroutines(lua_State *L)
{
    static const luaL_Reg coroutine[] = {
        {"resume", coroutine_resume}, {"wrap", coroutine_wrap}, {NULL, NULL}};
    running = L;
    lua_getglobal(L, "coroutine");
    luaL_setfuncs(L, coroutine, 0);
    lua_pop(L, 1);
}

static void on_end(int signal_number)
{
    (void)signal_number;
    if (!is_thread_worker)
        return;
    ending = 1; /* even while no Lua code runs: the thread may be closing pools of its own */
    if (running)
        set_hook(running);
}

void signals_enter_thread(lua_State *L)
{
    is_thread_worker = true;
    if (descriptor >= 0)
        watch_coroutines(L);
}

void signals_leave_thread(lua_State *L)
{
    /* `ending` stays as it is: the invokers that the state still holds see by it that they should
     * end their own threads. */
    running = NULL;
    lua_sethook(L, NULL, 0, 0);
}

void signal_end_thread(pthread_t thread)
{
    if (descriptor >= 0)
        pthread_kill(thread, END_SIGNAL);
}

void signals_install(lua_State *L)
{
    main_thread = pthread_self();
    owner = getpid();
    descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (descriptor < 0)
        luaL_error(L, "lkrun: eventfd: %s", strerror(errno));
    watch_coroutines(L);
    handle(END_SIGNAL, on_end, 0);
    /* Without SA_RESTART, so that a program which waits for input is interrupted, too. A signal
     * that our parent made us ignore (nohup, a shell's background job) stays ignored. */
    if (!is_ignored(SIGINT))
        handle(SIGINT, on_interrupt, 0);
    if (!is_ignored(SIGTERM))
        handle(SIGTERM, on_interrupt, 0);
    if (!is_ignored(SIGTSTP))
        handle(SIGTSTP, on_stop, SA_RESTART);
    handle(SIGPIPE, on_broken_pipe, SA_RESTART);
    mapping_catch_losses(interrupt_program);
}
