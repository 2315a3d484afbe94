/* The bare limits with which figures are compared: what the machine does without lkrun, in the same
 * run. This is a module for Lua, built by the Makefile. Every function returns seconds unless it
 * says otherwise.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <lua.h>
#include <lauxlib.h>

extern char **environ;

static double clock_of(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static double now(void)
{
    return clock_of(CLOCK_MONOTONIC);
}

static int fail(lua_State *L, const char *what)
{
    return luaL_error(L, "bench: %s: %s", what, strerror(errno));
}

static void sleep_for(double seconds)
{
    struct timespec left = {(time_t)seconds, 0};
    left.tv_nsec = (long)((seconds - (double)left.tv_sec) * 1e9);
    while (clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) == EINTR) {
    }
}

/* Kills the children that were made before a fork failed, and waits for all of them. */
static void reap(pid_t *pids, int count, bool stop)
{
    for (int i = 0; i < count; i++) {
        if (stop)
            kill(pids[i], SIGKILL);
        while (waitpid(pids[i], NULL, 0) < 0 && errno == EINTR) {
        }
    }
}

/* sleep(seconds): sleeps without using a CPU */
static int bare_sleep(lua_State *L)
{
    sleep_for(luaL_checknumber(L, 1));
    return 0;
}

/* die(): kills this process by SIGKILL */
static int bare_die(lua_State *L)
{
    (void)L;
    return raise(SIGKILL);
}

/* spawn(program, argument...): the time from before the program starts until after it has ended;
 * nil if it can't start */
static int bare_spawn(lua_State *L)
{
    char *arguments[16] = {0};
    int count = lua_gettop(L);
    luaL_argcheck(L, count < 16, count, "too many arguments");
    for (int i = 0; i < count; i++)
        arguments[i] = (char *)luaL_checkstring(L, i + 1);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    pid_t pid;
    double start = now();
    int error = posix_spawnp(&pid, arguments[0], &actions, NULL, arguments, environ);
    int status = 0;
    while (!error && waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    double end = now();
    posix_spawn_file_actions_destroy(&actions);
    if (error)
        return 0;
    if (status)
        return luaL_error(L, "bench: %s ended with status %d", arguments[0], status);
    lua_pushnumber(L, end - start);
    return 1;
}

/* fork(): forks this process, and waits for the child, which exits at once */
static int bare_fork(lua_State *L)
{
    double start = now();
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    if (pid < 0)
        return fail(L, "fork");
    reap(&pid, 1, false);
    lua_pushnumber(L, now() - start);
    return 1;
}

/* forks(): forks this process twice, and returns the time until a message of the first child
 * arrives; then both children end */
static int bare_forks(lua_State *L)
{
    int word[2];
    if (pipe2(word, O_CLOEXEC) < 0)
        return fail(L, "pipe");
    pid_t pids[2] = {-1, -1};
    char byte = 0;
    double start = now();
    for (int i = 0; i < 2; i++) {
        pids[i] = fork();
        if (pids[i] == 0)
            _exit(i == 0 && write(word[1], &byte, 1) != 1);
        if (pids[i] < 0)
            break;
    }
    bool works = pids[1] > 0 && read(word[0], &byte, 1) == 1;
    double end = now();
    int reason = errno;
    close(word[0]);
    close(word[1]);
    for (int i = 0; i < 2; i++)
        if (pids[i] > 0)
            reap(&pids[i], 1, false);
    errno = reason;
    if (!works)
        return fail(L, "fork");
    lua_pushnumber(L, end - start);
    return 1;
}

_Noreturn static void echo(int from, int to)
{
    char bytes[8];
    while (read(from, bytes, sizeof bytes) == sizeof bytes)
        if (write(to, bytes, sizeof bytes) != sizeof bytes)
            break;
    _exit(0);
}

/* pipes(count): sends 8 bytes to a child over a pipe and back, the mean of `count` times */
static int bare_pipes(lua_State *L)
{
    lua_Integer count = luaL_checkinteger(L, 1);
    int there[2], back[2];
    if (pipe2(there, O_CLOEXEC) < 0)
        return fail(L, "pipe");
    if (pipe2(back, O_CLOEXEC) < 0) {
        close(there[0]);
        close(there[1]);
        return fail(L, "pipe");
    }
    pid_t pid = fork();
    if (pid == 0) {
        close(there[1]);
        echo(there[0], back[1]);
    }
    close(there[0]);
    close(back[1]);
    char bytes[8] = {0};
    bool works = pid > 0;
    double start = now();
    for (lua_Integer i = 0; i < count && works; i++)
        works = write(there[1], bytes, sizeof bytes) == sizeof bytes &&
                read(back[0], bytes, sizeof bytes) == sizeof bytes;
    double end = now();
    close(there[1]);
    close(back[0]);
    if (pid > 0)
        reap(&pid, 1, false);
    if (!works)
        return fail(L, "pipe");
    lua_pushnumber(L, (end - start) / (double)count);
    return 1;
}

/* copy(bytes): memcpy between two buffers whose pages exist already */
static int bare_copy(lua_State *L)
{
    static char *from, *to;
    static size_t size;
    size_t bytes = (size_t)luaL_checkinteger(L, 1);
    if (size != bytes) {
        free(from);
        free(to);
        from = malloc(bytes);
        to = malloc(bytes);
        size = from && to ? bytes : 0;
        if (!size)
            return fail(L, "memory");
        memset(from, 1, bytes);
        memset(to, 2, bytes);
    }
    double start = now();
    memcpy(to, from, bytes);
    __asm__ volatile("" ::"r"(to) : "memory"); /* keeps the compiler from dropping the copy */
    lua_pushnumber(L, now() - start);
    return 1;
}

/* Runs `work` in `count` processes at once, and returns the seconds until the last has ended. */
static double together(lua_State *L, int count, void (*work)(double, lua_Integer), double seconds,
                       lua_Integer times)
{
    pid_t pids[64];
    luaL_argcheck(L, count >= 1 && count <= 64, 1, "1 to 64 processes");
    double start = now();
    for (int i = 0; i < count; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            work(seconds, times);
            _exit(0);
        }
        if (pids[i] < 0) {
            reap(pids, i, true);
            fail(L, "fork");
        }
    }
    reap(pids, count, false);
    return now() - start;
}

static void sleep_often(double seconds, lua_Integer times)
{
    for (; times > 0; times--)
        sleep_for(seconds);
}

/* sleepers(count, seconds, times): `count` plain processes that each sleep `times` times */
static int bare_sleepers(lua_State *L)
{
    lua_pushnumber(L, together(L, (int)luaL_checkinteger(L, 1), sleep_often, luaL_checknumber(L, 2),
                               luaL_checkinteger(L, 3)));
    return 1;
}

static void spin(double seconds, lua_Integer times)
{
    (void)times;
    while (clock_of(CLOCK_PROCESS_CPUTIME_ID) < seconds) {
    }
}

/* spinners(count, seconds): `count` plain processes that each use `seconds` of CPU */
static int bare_spinners(lua_State *L)
{
    lua_pushnumber(L, together(L, (int)luaL_checkinteger(L, 1), spin, luaL_checknumber(L, 2), 0));
    return 1;
}

/* A cache line. The compiler adds it up with the vector instructions of the machine. */
typedef uint64_t line __attribute__((vector_size(64)));

static struct {
    line *lines;
    size_t bytes;
} shared;

static void read_often(double unused, lua_Integer times)
{
    (void)unused;
    const line *lines = shared.lines; /* read in four streams, which keeps more reads in flight */
    const size_t part = shared.bytes / sizeof *lines / 4;
    line sums[2] = {{0}};
    for (; times > 0; times--) {
        for (size_t i = 0; i < part; i++) {
            sums[0] += lines[i] + lines[i + 2 * part];
            sums[1] += lines[i + part] + lines[i + 3 * part];
        }
        __asm__ volatile("" ::"r"(sums) : "memory"); /* keeps the compiler from dropping the sums */
    }
}

/* readers(count, bytes, times): `count` plain processes, each of which reads the same bytes `times`
 * times */
static int bare_readers(lua_State *L)
{
    int count = (int)luaL_checkinteger(L, 1);
    shared.bytes = (size_t)luaL_checkinteger(L, 2);
    shared.lines =
        mmap(NULL, shared.bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared.lines == MAP_FAILED)
        return fail(L, "mmap");
    memset(shared.lines, 1, shared.bytes);
    double seconds = together(L, count, read_often, 0, luaL_checkinteger(L, 3));
    munmap(shared.lines, shared.bytes);
    lua_pushnumber(L, seconds);
    return 1;
}

/* entries(folder): the number of entries in a folder, or nil */
static int bare_entries(lua_State *L)
{
    DIR *folder = opendir(luaL_checkstring(L, 1));
    if (!folder)
        return 0;
    lua_Integer count = -2;
    while (readdir(folder))
        count++;
    closedir(folder);
    lua_pushinteger(L, count);
    return 1;
}

int luaopen_bare(lua_State *L);
int luaopen_bare(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"sleep", bare_sleep},     {"die", bare_die},           {"spawn", bare_spawn},
        {"fork", bare_fork},       {"forks", bare_forks},       {"pipes", bare_pipes},
        {"copy", bare_copy},       {"sleepers", bare_sleepers}, {"spinners", bare_spinners},
        {"readers", bare_readers}, {"entries", bare_entries},   {NULL, NULL}};
    luaL_newlib(L, functions);
    return 1;
}
