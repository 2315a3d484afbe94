/* Collecting garbage while workers live.
 *
 * What always holds, from collector_hold to collector_release, in the host and in its workers:
 * - All objects that were there at the fork are old, and a collection of the young neither marks
 *   nor sweeps what is old; so a page of the model is written only by a program that changes the
 *   model. (A full collection writes a mark into every object.)
 * - The state collects in generational mode: the young so often that they fit into a few megabytes,
 *   everything only when it has grown by as much as the model again.
 * - What is allocated lies in the state's heap, apart from the model's pages.
 * - `mode`, and the parameters beside it in the struct, are what the program wants, and gets when
 *   the last worker has ended.
 *
 * Lua tells its mode only to whoever changes it, and never tells the parameters of the generational
 * mode. So `collectgarbage` is replaced by one that keeps what the program asks for. */
#include "memory/collector.h"

#include <stdint.h>
#include <string.h>
#include <lauxlib.h>

#include "memory/heap.h"

/* Lua's own parameters of the generational mode, in percent. */
#define DEFAULT_MINOR 20
#define DEFAULT_MAJOR 100
/* Sizes of a state's memory, in KiB. */
#define SMALL_HEAP 4096       /* below it, settling is not worth its time */
#define LARGE_HEAP (64 << 10) /* from here on room is made for young strings */
/* How much may be young at a time; 1 % of the heap if that is more. */
#define NURSERY     4096.0
#define WHOLE_AFTER (256 << 10) /* least growth before a collection of everything */
/* What a worker may hold of its own before another worker replaces it: BUDGET bytes, or
 * 1/BUDGET_PART of what it inherited, whichever is more. */
#define BUDGET      ((size_t)64 << 20)
#define BUDGET_PART 8

struct collector {
    struct heap *heap; /* NULL: none yet, or there is no room for one */
    /* Calls of collector_hold so far without their collector_release. */
    int holds;
    int mode;         /* LUA_GCGEN or LUA_GCINC; -1: not known */
    int minor, major; /* of the generational mode, in percent */
    /* Of the incremental mode, as asked for while held; 0: not asked for. */
    int pause, multiplier, step;
    /* The last collector_release came in a finalizer, where lua_gc does nothing: the program's mode
     * is still to be given back. */
    bool is_due;
};

static const char key; /* its address is the key of the struct in the state's registry */

/* If this process is a worker: the heap of its state, and how many bytes of it the worker may
 * use. */
static const struct heap *own_heap;
static size_t own_budget;

static struct collector *find(lua_State *L)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &key) == LUA_TNIL) {
        struct collector *made = lua_newuserdatauv(L, sizeof *made, 0);
        *made = (struct collector){.mode = -1, .minor = DEFAULT_MINOR, .major = DEFAULT_MAJOR};
        lua_rawsetp(L, LUA_REGISTRYINDEX, &key);
        lua_pop(L, 1);
        return made;
    }
    struct collector *collector = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return collector;
}

/* --- the mode while workers live --- */

static int percent_of(double part, double whole, int least, int most)
{
    double percent = 100 * part / whole;
    return percent < least ? least : percent > most ? most : (int)percent;
}

/* Makes as many short strings as may be young at a time. Lua links all short strings in one hash
 * table; when the table grows, every string is linked anew, which would copy the pages of the
 * model's strings in each process. So if the table is about to grow, this makes it grow now, before
 * the fork. */
static void make_room_for_strings(lua_State *L)
{
    const size_t each = 40; /* bytes that a short string takes at least */
    char text[16] = "lkrun:";
    for (uint32_t i = 0; i < NURSERY * 1024 / each; i++) {
        memcpy(text + 8, &i, sizeof i);
        lua_pushlstring(L, text, sizeof text);
        lua_pop(L, 1);
    }
}

/* Makes all objects old. Three collections of the young do that at the cost of what is young; where
 * the program had stopped the collector that may be everything, and one full collection is cheaper.
 * After a change of mode all objects are old already, but only a collection makes Lua set the time
 * of the next one. */
static void settle(lua_State *L, bool is_large)
{
    bool is_running = lua_gc(L, LUA_GCISRUNNING);
    if (is_large) {
        /* The collector stops meanwhile, so that all the strings are there at once. */
        lua_gc(L, LUA_GCSTOP);
        make_room_for_strings(L);
        if (is_running)
            lua_gc(L, LUA_GCRESTART);
    }
    if (is_running) {
        for (int age = 0; age < 3; age++)
            lua_gc(L, LUA_GCSTEP, 0);
    } else {
        lua_gc(L, LUA_GCCOLLECT);
    }
}

void collector_hold(lua_State *L)
{
    struct collector *collector = find(L);
    double heap = 1.0 + lua_gc(L, LUA_GCCOUNT); /* KiB, never 0 */
    int minor = percent_of(NURSERY, heap, 1, collector->minor);
    int major = percent_of(heap > WHOLE_AFTER ? heap : WHOLE_AFTER, heap, 100, 1000);
    if (!collector->heap)
        collector->heap = heap_install(L);
    if (collector->heap)
        heap_hold(collector->heap, true);
    int mode = lua_gc(L, LUA_GCGEN, minor, major);
    if (mode == LUA_GCINC || heap > SMALL_HEAP)
        settle(L, heap > LARGE_HEAP);
    if (!collector->holds++ && !collector->is_due)
        collector->mode = mode;
    collector->is_due = false;
}

/* Gives the program its mode and parameters back. False in a finalizer: it is still to be done. */
static bool give_back(lua_State *L, struct collector *collector)
{
    int done = 0;
    if (collector->mode == LUA_GCINC)
        done = lua_gc(L, LUA_GCINC, collector->pause, collector->multiplier, collector->step);
    else if (collector->mode == LUA_GCGEN)
        done = lua_gc(L, LUA_GCGEN, collector->minor, collector->major);
    collector->is_due = done < 0;
    if (!collector->is_due)
        collector->pause = collector->multiplier = collector->step = 0;
    return !collector->is_due;
}

/* The hook that collector_release sets. */
static void give_back_later(lua_State *L, lua_Debug *unused)
{
    (void)unused;
    lua_sethook(L, NULL, 0, 0);
    struct collector *collector = find(L);
    if (collector->is_due)
        give_back(L, collector);
}

void collector_release(lua_State *L)
{
    struct collector *collector = find(L);
    if (--collector->holds > 0)
        return;
    if (collector->heap)
        heap_hold(collector->heap, false);
    /* lua_gc does nothing here if the garbage collector has called the finalizer of an invoker,
     * which called this. The hook is called when the program goes on after the finalizer. */
    if (!give_back(L, collector) && !lua_gethook(L))
        lua_sethook(L, give_back_later, LUA_MASKCOUNT, 1);
}

bool collector_is_due(lua_State *L)
{
    return lua_gethook(L) == give_back_later;
}

bool collector_is_held(lua_State *L)
{
    return find(L)->holds > 0;
}

/* --- in a worker --- */

void collector_enter_worker(lua_State *L, size_t memory_limit)
{
    const struct collector *collector = find(L);
    size_t inherited = (size_t)lua_gc(L, LUA_GCCOUNT) << 10;
    own_budget = inherited / BUDGET_PART > BUDGET ? inherited / BUDGET_PART : BUDGET;
    /* Garbage that earlier tasks left must not take a task over its memory limit. */
    if (memory_limit && own_budget > memory_limit / 2)
        own_budget = memory_limit / 2;
    if (collector->heap)
        heap_enter_worker(collector->heap);
    own_heap = collector->heap;
    /* The program may have stopped its collector for a while; a worker, which runs any number of
     * tasks, can't do without. */
    if (!lua_gc(L, LUA_GCISRUNNING))
        lua_gc(L, LUA_GCRESTART);
}

bool collector_is_over_budget(void)
{
    return own_heap && heap_bytes(own_heap) > own_budget;
}

size_t collector_budget(void)
{
    return own_budget;
}

/* --- collectgarbage --- */

static int push_mode(lua_State *L, int mode)
{
    if (mode < 0)
        luaL_pushfail(L); /* in a finalizer */
    else
        lua_pushstring(L, mode == LUA_GCINC ? "incremental" : "generational");
    return 1;
}

static int integer_argument(lua_State *L, int index)
{
    return (int)luaL_optinteger(L, index, 0);
}

/* Sets the program's mode. While workers live, that is only noted, for when they have ended. */
static int set_mode(lua_State *L, int mode)
{
    struct collector *collector = find(L);
    int first = integer_argument(L, 2), second = integer_argument(L, 3);
    int third = mode == LUA_GCINC ? integer_argument(L, 4) : 0;
    int previous = collector->mode;
    if (mode == LUA_GCGEN) {
        collector->minor = first ? first : collector->minor;
        collector->major = second ? second : collector->major;
    } else {
        collector->pause = first ? first : collector->pause;
        collector->multiplier = second ? second : collector->multiplier;
        collector->step = third ? third : collector->step;
    }
    collector->mode = mode;
    if (collector->holds || collector->is_due)
        return push_mode(L, previous);
    previous = mode == LUA_GCGEN ? lua_gc(L, LUA_GCGEN, first, second)
                                 : lua_gc(L, LUA_GCINC, first, second, third);
    collector->pause = collector->multiplier = collector->step = 0;
    return push_mode(L, previous);
}

static int push_done(lua_State *L, int result, bool is_truth)
{
    if (result < 0)
        luaL_pushfail(L); /* in a finalizer */
    else if (is_truth)
        lua_pushboolean(L, result);
    else
        lua_pushinteger(L, result);
    return 1;
}

/* collectgarbage, as in the reference manual. */
static int collect_garbage(lua_State *L)
{
    static const char *const names[] = {
        "collect",      "count",       "step",     "stop",       "restart", "isrunning",
        "generational", "incremental", "setpause", "setstepmul", NULL};
    enum { COLLECT, COUNT, STEP, STOP, RESTART, ISRUNNING, GENERATIONAL, INCREMENTAL, SETPAUSE };
    switch (luaL_checkoption(L, 1, "collect", names)) {
    case COLLECT:
        return push_done(L, lua_gc(L, LUA_GCCOLLECT), false);
    case COUNT: {
        int whole = lua_gc(L, LUA_GCCOUNT), rest = lua_gc(L, LUA_GCCOUNTB);
        if (whole < 0)
            luaL_pushfail(L);
        else
            lua_pushnumber(L, whole + rest / 1024.0);
        return 1;
    }
    case STEP:
        return push_done(L, lua_gc(L, LUA_GCSTEP, integer_argument(L, 2)), true);
    case STOP:
        return push_done(L, lua_gc(L, LUA_GCSTOP), false);
    case RESTART:
        return push_done(L, lua_gc(L, LUA_GCRESTART), false);
    case ISRUNNING:
        return push_done(L, lua_gc(L, LUA_GCISRUNNING), true);
    case GENERATIONAL:
        return set_mode(L, LUA_GCGEN);
    case INCREMENTAL:
        return set_mode(L, LUA_GCINC);
    case SETPAUSE:
        return push_done(L, lua_gc(L, LUA_GCSETPAUSE, integer_argument(L, 2)), false);
    default:
        return push_done(L, lua_gc(L, LUA_GCSETSTEPMUL, integer_argument(L, 2)), false);
    }
}

void collector_install(lua_State *L)
{
    find(L);
    if (lua_getglobal(L, "collectgarbage") == LUA_TFUNCTION && lua_iscfunction(L, -1)) {
        lua_pushcfunction(L, collect_garbage);
        lua_setglobal(L, "collectgarbage");
    }
    lua_pop(L, 1);
}
