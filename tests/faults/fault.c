/* Faults for the tests, injected for real: signals, crashes, calls that never return, refused
 * system calls, exhausted limits, threads. A C module for Lua, built as build/tests/fault.so. */
#include <dlfcn.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <lua.h>
#include <lauxlib.h>

static int succeed(lua_State *L, bool done)
{
    return luaL_fileresult(L, done, NULL);
}

/* --- signals --- */

static int signal_number(lua_State *L, int index)
{
    static const struct {
        const char *name;
        int number;
    } signals[] = {{"INT", SIGINT},   {"TERM", SIGTERM}, {"KILL", SIGKILL}, {"SEGV", SIGSEGV},
                   {"ABRT", SIGABRT}, {"STOP", SIGSTOP}, {"CONT", SIGCONT}, {"ALRM", SIGALRM},
                   {"CHLD", SIGCHLD}, {"PIPE", SIGPIPE}, {"USR1", SIGUSR1}, {"HUP", SIGHUP}};
    const char *name = luaL_checkstring(L, index);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        if (strcmp(signals[i].name, name) == 0)
            return signals[i].number;
    return luaL_argerror(L, index, "an unknown signal");
}

/* kill(pid, signal) → true, or nil and why not */
static int send_signal(lua_State *L)
{
    return succeed(L, kill((pid_t)luaL_checkinteger(L, 1), signal_number(L, 2)) == 0);
}

/* block(signal), in this thread */
static int block_signal(lua_State *L)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signal_number(L, 1));
    return succeed(L, sigprocmask(SIG_BLOCK, &set, NULL) == 0);
}

/* ignore(signal) */
static int ignore_signal(lua_State *L)
{
    return succeed(L, signal(signal_number(L, 1), SIG_IGN) != SIG_ERR);
}

/* reset(signal): the signal does what it does by default */
static int reset_signal(lua_State *L)
{
    return succeed(L, signal(signal_number(L, 1), SIG_DFL) != SIG_ERR);
}

static int exit_status;

static void exit_on_signal(int signal_number)
{
    (void)signal_number;
    _exit(exit_status);
}

/* exit_on(signal, status): the signal ends this process as os.exit(status) would */
static int set_exit_on(lua_State *L)
{
    exit_status = (int)luaL_checkinteger(L, 2);
    return succeed(L, signal(signal_number(L, 1), exit_on_signal) != SIG_ERR);
}

static void on_crash(int number)
{
    static const char text[] = "\r\ncrash handler\r\n";
    if (write(STDERR_FILENO, text, sizeof text - 1) > 0 && number == SIGSEGV)
        _exit(3);
}

/* handle(signal): a handler that prints a line, and ends the process if the signal is SEGV */
static int handle_signal(lua_State *L)
{
    return succeed(L, signal(signal_number(L, 1), on_crash) != SIG_ERR);
}

/* --- crashes and calls that never return --- */

static int crash_segv(lua_State *L)
{
    (void)L;
    signal(SIGSEGV, SIG_DFL); /* a sanitizer has set a handler */
    volatile int *nowhere = NULL;
    raise(SIGSEGV);
    return *nowhere;
}

static int crash_abort(lua_State *L)
{
    (void)L;
    abort();
}

/* stuck(): a C call that never returns */
_Noreturn static int stuck(lua_State *L)
{
    (void)L;
    for (;;)
        poll(NULL, 0, -1);
}

/* spin(): a C call that never returns and never sleeps */
_Noreturn static int spin(lua_State *L)
{
    (void)L;
    for (volatile unsigned long turns = 0;; turns++) {
    }
}

/* hog(bytes): allocates memory in C and writes to it, and never frees it */
static int hog(lua_State *L)
{
    size_t bytes = (size_t)luaL_checkinteger(L, 1);
    char *memory = malloc(bytes);
    if (memory)
        memset(memory, 1, bytes);
    lua_pushlightuserdata(L, memory);
    return 1;
}

/* --- processes --- */

static int get_pid(lua_State *L)
{
    lua_pushinteger(L, getpid());
    return 1;
}

/* user() → the id of the user who runs this process */
static int get_user(lua_State *L)
{
    lua_pushinteger(L, getuid());
    return 1;
}

/* fork() → 0 in the child, its pid in the parent */
static int fork_process(lua_State *L)
{
    pid_t pid = fork();
    if (pid < 0)
        return succeed(L, false);
    lua_pushinteger(L, pid);
    return 1;
}

/* wait(pid) → "exit", status or "signal", number */
static int wait_process(lua_State *L)
{
    int status;
    if (waitpid((pid_t)luaL_checkinteger(L, 1), &status, 0) < 0)
        return succeed(L, false);
    lua_pushstring(L, WIFSIGNALED(status) ? "signal" : "exit");
    lua_pushinteger(L, WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    return 2;
}

/* adopt(): this process becomes the parent of descendants whose own parents end */
static int adopt_orphans(lua_State *L)
{
    return succeed(L, prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0);
}

/* leave(status): ends the process at once, without flushing anything */
static int leave(lua_State *L)
{
    _exit((int)luaL_checkinteger(L, 1));
}

/* nap(): sleeps a little, so that others run before a condition is checked again */
static int nap(lua_State *L)
{
    (void)L;
    poll(NULL, 0, 5);
    return 0;
}

/* write(descriptor, bytes): writes all bytes */
static int write_bytes(lua_State *L)
{
    size_t length;
    const char *bytes = luaL_checklstring(L, 2, &length);
    while (length) {
        ssize_t written = write((int)luaL_checkinteger(L, 1), bytes, length);
        if (written < 0 && errno != EINTR)
            return succeed(L, false);
        if (written > 0) {
            bytes += written;
            length -= (size_t)written;
        }
    }
    return succeed(L, true);
}

/* descriptors() → {number = what it is open on, …}, for all open descriptors of this process */
static int list_descriptors(lua_State *L)
{
    char name[32], target[256];
    lua_newtable(L);
    for (int descriptor = 0; descriptor < 1024; descriptor++) {
        snprintf(name, sizeof name, "/proc/self/fd/%d", descriptor);
        ssize_t length = readlink(name, target, sizeof target);
        if (length < 0)
            continue;
        lua_pushlstring(L, target, (size_t)length);
        lua_rawseti(L, -2, descriptor);
    }
    return 1;
}

/* --- limits and refusals --- */

/* limit(name, value[, pid]): the soft limit of "nofile", "nproc" or "as", of this process or
 * another */
static int set_limit(lua_State *L)
{
    static const char *const names[] = {"nofile", "nproc", "as", NULL};
    static const int resources[] = {RLIMIT_NOFILE, RLIMIT_NPROC, RLIMIT_AS};
    int resource = resources[luaL_checkoption(L, 1, NULL, names)];
    pid_t pid = (pid_t)luaL_optinteger(L, 3, 0);
    struct rlimit limit;
    if (prlimit(pid, resource, NULL, &limit) < 0)
        return succeed(L, false);
    limit.rlim_cur = (rlim_t)luaL_checkinteger(L, 2);
    return succeed(L, prlimit(pid, resource, &limit, NULL) == 0);
}

/* become_nobody(): this process becomes that of a user who has no other processes, because the
 * limit "nproc" does not hold for the superuser. */
static int become_nobody(lua_State *L)
{
    const unsigned nobody = 100000 + (unsigned)getpid();
    bool done = setresgid(nobody, nobody, nobody) == 0 && setresuid(nobody, nobody, nobody) == 0;
    prctl(PR_SET_DUMPABLE, 1);
    return succeed(L, done);
}

/* refuse(call, reason): from now on the system call fails with that error in this process and in
 * processes that it makes; with "KILL" the call ends the process by SIGSYS */
static int refuse_call(lua_State *L)
{
#ifdef SYS_dup2
    enum { DUP2 = SYS_dup2 };
#else
    enum { DUP2 = SYS_dup3 };
#endif
    static const char *const names[] = {"memfd_create", "pidfd_open", "clone3", "eventfd2",
                                        "clone",        "dup2",       NULL};
    static const unsigned numbers[] = {SYS_memfd_create, SYS_pidfd_open, SYS_clone3,
                                       SYS_eventfd2,     SYS_clone,      DUP2};
    unsigned number = numbers[luaL_checkoption(L, 1, NULL, names)];
    static const struct {
        const char *name;
        unsigned verdict;
    } reasons[] = {{"EAGAIN", SECCOMP_RET_ERRNO | EAGAIN},
                   {"ENOSYS", SECCOMP_RET_ERRNO | ENOSYS},
                   {"EPERM", SECCOMP_RET_ERRNO | EPERM},
                   {"EMFILE", SECCOMP_RET_ERRNO | EMFILE},
                   {"KILL", SECCOMP_RET_KILL_PROCESS}};
    unsigned verdict = SECCOMP_RET_ALLOW;
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (strcmp(reasons[i].name, luaL_checkstring(L, 2)) == 0)
            verdict = reasons[i].verdict;
    luaL_argcheck(L, verdict != SECCOMP_RET_ALLOW, 2, "an unknown reason");
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, verdict),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    return succeed(L, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
                          prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

/* --- threads --- */

static void *call_protected(void *argument)
{
    lua_State *L = argument;
    return (void *)(intptr_t)lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
}

/* in_thread(f, …): calls f(…) in another thread while this one waits → true and its results, or
 * false and its error */
static int in_thread(lua_State *L)
{
    pthread_t thread;
    void *status;
    if (pthread_create(&thread, NULL, call_protected, L) != 0)
        return luaL_error(L, "no thread");
    pthread_join(thread, &status);
    lua_pushboolean(L, (intptr_t)status == LUA_OK);
    lua_insert(L, 1);
    return lua_gettop(L);
}

/* Threads that run a function of a C library until they are told to stop. */
static atomic_bool blas_stops;
static pthread_t blas_threads[4];
static int blas_count;
static atomic_int blas_turns;

static void *multiply(void *function)
{
    void (*dgemm)(int, int, int, int, int, int, double, const double *, int, const double *, int,
                  double, double *, int);
    memcpy(&dgemm, &function, sizeof dgemm);
    enum { SIZE = 300 };
    double *matrix = calloc(3u * SIZE * SIZE, sizeof *matrix);
    while (matrix && !blas_stops) {
        dgemm(101, 111, 111, SIZE, SIZE, SIZE, 1, matrix, SIZE, matrix + SIZE * SIZE, SIZE, 0,
              matrix + 2 * SIZE * SIZE, SIZE);
        blas_turns++;
    }
    free(matrix);
    return NULL;
}

/* blas_start(count): starts so many threads, not OpenBLAS's own, that multiply matrices without end
 */
static int blas_start(lua_State *L)
{
    int count = (int)luaL_checkinteger(L, 1);
    void *library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_GLOBAL);
    void *function = library ? dlsym(library, "cblas_dgemm") : NULL;
    if (!function)
        return luaL_error(L, "%s", dlerror());
    blas_stops = false;
    for (blas_count = 0; blas_count < count; blas_count++)
        if (pthread_create(&blas_threads[blas_count], NULL, multiply, function) != 0)
            return luaL_error(L, "no thread");
    return 0;
}

/* blas_turns() → the number of products that those threads have finished */
static int count_turns(lua_State *L)
{
    lua_pushinteger(L, blas_turns);
    return 1;
}

static int blas_stop(lua_State *L)
{
    (void)L;
    blas_stops = true;
    while (blas_count)
        pthread_join(blas_threads[--blas_count], NULL);
    return 0;
}

__attribute__((visibility("default"))) int luaopen_fault(lua_State *L);
int luaopen_fault(lua_State *L)
{
    static const luaL_Reg functions[] = {{"kill", send_signal},
                                         {"block", block_signal},
                                         {"ignore", ignore_signal},
                                         {"reset", reset_signal},
                                         {"exit_on", set_exit_on},
                                         {"handle", handle_signal},
                                         {"segv", crash_segv},
                                         {"abort", crash_abort},
                                         {"stuck", stuck},
                                         {"spin", spin},
                                         {"hog", hog},
                                         {"pid", get_pid},
                                         {"user", get_user},
                                         {"fork", fork_process},
                                         {"wait", wait_process},
                                         {"adopt", adopt_orphans},
                                         {"leave", leave},
                                         {"nap", nap},
                                         {"write", write_bytes},
                                         {"limit", set_limit},
                                         {"become_nobody", become_nobody},
                                         {"refuse", refuse_call},
                                         {"in_thread", in_thread},
                                         {"blas_start", blas_start},
                                         {"blas_turns", count_turns},
                                         {"blas_stop", blas_stop},
                                         {"descriptors", list_descriptors},
                                         {NULL, NULL}};
    luaL_newlib(L, functions);
    return 1;
}
