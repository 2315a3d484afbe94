/* The least that a map over a generator in Lua can cost when another process does the work:
 * integers go as bare words through shared memory, there and back, in batches. The relay has one
 * type, no errors and no bookkeeping of tasks, and it hangs if its process dies. This is a module
 * for Lua, built by the Makefile.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <lua.h>
#include <lauxlib.h>

enum { WORDS = 1024, PORTION = 32 };

/* The number of words written so far, in a cache line of its own. At most WORDS words are on their
 * way there and back, so the writer always has room. */
struct queue {
    _Alignas(64) atomic_ulong written;
    _Alignas(64) lua_Integer words[WORDS];
};

struct queues {
    struct queue there, back;
};

struct relay {
    struct queues *queues;
    pid_t pid;
    uint64_t pulled, delivered, arrived;
    bool exhausted;
};

static void pause_a_moment(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

/* Waits until more than `seen` words have been written, and returns their number. */
static uint64_t await_more(atomic_ulong *written, uint64_t seen)
{
    for (unsigned looks = 1;; looks++) {
        uint64_t now = atomic_load_explicit(written, memory_order_acquire);
        if (now != seen)
            return now;
        pause_a_moment();
        if (looks % 4096 == 0)
            sched_yield(); /* both processes may share a CPU */
    }
}

/* The other process sends every word back. */
_Noreturn static void copy_words(struct queues *queues, pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    uint64_t done = 0;
    for (;;) {
        uint64_t written = await_more(&queues->there.written, done);
        for (; done < written; done++)
            queues->back.words[done % WORDS] = queues->there.words[done % WORDS];
        atomic_store_explicit(&queues->back.written, done, memory_order_release);
    }
}

/* Calls the generator until as many words are on their way as the ring has room for. */
static void pull(lua_State *L, struct relay *relay)
{
    struct queue *there = &relay->queues->there;
    while (!relay->exhausted && relay->pulled - relay->delivered < WORDS) {
        lua_pushvalue(L, lua_upvalueindex(2));
        lua_call(L, 0, 1);
        relay->exhausted = !lua_isinteger(L, -1);
        if (!relay->exhausted)
            there->words[relay->pulled++ % WORDS] = lua_tointeger(L, -1);
        if (relay->exhausted || relay->pulled % PORTION == 0)
            atomic_store_explicit(&there->written, relay->pulled, memory_order_release);
        lua_settop(L, 0);
    }
}

static void end_relay(struct relay *relay)
{
    if (relay->pid > 0) {
        kill(relay->pid, SIGKILL);
        while (waitpid(relay->pid, NULL, 0) < 0 && errno == EINTR) {
        }
    }
    if (relay->queues)
        munmap(relay->queues, sizeof *relay->queues);
    *relay = (struct relay){0};
}

static int close_relay(lua_State *L)
{
    end_relay(lua_touserdata(L, 1));
    return 0;
}

static int step(lua_State *L)
{
    struct relay *relay = lua_touserdata(L, lua_upvalueindex(1));
    if (relay->delivered == relay->arrived) {
        lua_settop(L, 0);
        pull(L, relay);
        if (relay->delivered == relay->pulled)
            return 0;
        relay->arrived = await_more(&relay->queues->back.written, relay->arrived);
    }
    lua_pushinteger(L, (lua_Integer)relay->delivered + 1);
    lua_pushinteger(L, relay->queues->back.words[relay->delivered % WORDS]);
    relay->delivered++;
    return 2;
}

/* relay(generator of integers): returns an iterator over the integers and their numbers, and its
 * closing value */
static int new_relay(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    struct relay *relay = lua_newuserdatauv(L, sizeof *relay, 0);
    *relay = (struct relay){0};
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, close_relay);
    lua_setfield(L, -2, "__close");
    lua_setmetatable(L, -2);
    struct queues *queues =
        mmap(NULL, sizeof *queues, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (queues == MAP_FAILED)
        return luaL_error(L, "bench: mmap: %s", strerror(errno));
    relay->queues = queues;
    pid_t parent = getpid();
    relay->pid = fork();
    if (relay->pid == 0)
        copy_words(queues, parent);
    if (relay->pid < 0) {
        int reason = errno;
        end_relay(relay);
        return luaL_error(L, "bench: fork: %s", strerror(reason));
    }
    lua_pushvalue(L, -1);
    lua_pushvalue(L, 1);
    lua_pushcclosure(L, step, 2);
    lua_insert(L, -2);
    lua_pushnil(L);
    lua_insert(L, -2);
    lua_pushnil(L);
    lua_insert(L, -2);
    return 4;
}

int luaopen_relay(lua_State *L);
int luaopen_relay(lua_State *L)
{
    lua_pushcfunction(L, new_relay);
    return 1;
}
