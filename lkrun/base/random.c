/* Random streams.
 *
 * Philox4x32-10: J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random numbers: as
 * easy as 1, 2, 3", SC 2011, section 3.3. A block of 128 bits is a bijection, chosen by a key of 64
 * bits, of a counter of 128 bits; there is no other state.
 *
 * Invariant: two streams with the same root seed share no block. The upper half of the counter is
 * the task, the lower half the number of the block, so that tasks of one map differ in the counter
 * and a stream would need 2^64 blocks to reach the next one. The key is mix(mix(root) + map × odd):
 * mix is a bijection of 64 bits and so is multiplying by an odd number, hence for one root
 * different maps have different keys, and for one map different roots do. Two pairs of different
 * root *and* map share a key with probability 2^-64. The program's own stream is task 0 of map 0.
 *
 * Every draw takes 64 bits, so that its place in the stream does not depend on its kind; a normal
 * deviate takes as many pairs as the polar method needs, and gives two. */
#include "base/random.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stddef.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/util.h"

static _Thread_local struct random_stream *task_stream; /* NULL: no task runs in this thread */
static _Thread_local struct random_stream own_stream;   /* the program's, of this thread */
static _Thread_local bool own_stream_open;

static void philox(const uint64_t counter[2], const uint32_t key[2], uint32_t block[4])
{
    uint32_t c0 = (uint32_t)counter[0], c1 = (uint32_t)(counter[0] >> 32);
    uint32_t c2 = (uint32_t)counter[1], c3 = (uint32_t)(counter[1] >> 32);
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        uint64_t left = (uint64_t)0xD2511F53u * c0;
        uint64_t right = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(right >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)right;
        c2 = (uint32_t)(left >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)left;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    block[0] = c0;
    block[1] = c1;
    block[2] = c2;
    block[3] = c3;
}

/* The finalizer of SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number
 * generators", OOPSLA 2014; constants of Stafford's variant 13): a bijection. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

/* Opens the stream of task `task` (from 1) of map `map` (from 1) under the seed `root`. */
static void open_stream(struct random_stream *stream, uint64_t root, uint64_t map, uint64_t task)
{
    uint64_t key = mix(mix(root) + map * 0x9E3779B97F4A7C15u);
    stream->key[0] = (uint32_t)key;
    stream->key[1] = (uint32_t)(key >> 32);
    stream->counter[0] = 0;
    stream->counter[1] = task;
    stream->used = 4; /* no word of `block` is left: the first draw makes a block */
    stream->has_normal = 0;
}

uint64_t random_system_seed(void)
{
    uint64_t seed;
    ssize_t got;
    do
        got = getrandom(&seed, sizeof seed, 0);
    while (got < 0 && errno == EINTR);
    if (got == (ssize_t)sizeof seed)
        return seed;
    /* The kernel or a sandbox refuses getrandom. */
    int descriptor = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    if (descriptor >= 0) {
        got = read(descriptor, &seed, sizeof seed);
        close(descriptor);
        if (got == (ssize_t)sizeof seed)
            return seed;
    }
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return mix((uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec) ^
           mix((uint64_t)getpid());
}

uint64_t random_bits(struct random_stream *stream)
{
    if (stream->used >= 4) {
        if (stream->used == RANDOM_DEFERRED)
            open_stream(stream, stream->root, stream->map, stream->counter[1]);
        philox(stream->counter, stream->key, stream->block);
        stream->counter[0]++;
        stream->used = 0;
    }
    uint64_t low = stream->block[stream->used];
    uint64_t high = stream->block[stream->used + 1];
    stream->used += 2;
    return high << 32 | low;
}

double random_uniform(struct random_stream *stream)
{
    return (double)(random_bits(stream) >> 11) * 0x1p-53;
}

/* The polar method: G. Marsaglia, T. A. Bray, "A convenient method for generating normal
 * variables", SIAM Review 6 (1964). */
double random_normal(struct random_stream *stream)
{
    if (stream->has_normal) {
        stream->has_normal = 0;
        return stream->normal;
    }
    double x, y, square;
    do {
        x = 2 * random_uniform(stream) - 1;
        y = 2 * random_uniform(stream) - 1;
        square = x * x + y * y;
    } while (square >= 1 || square == 0);
    double scale = sqrt(-2 * log(square) / square);
    stream->normal = y * scale;
    stream->has_normal = 1;
    return x * scale;
}

/* A number of [0, limit) without bias; limit 0 stands for 2^64. */
static uint64_t random_below(struct random_stream *stream, uint64_t limit)
{
    /* D. Lemire, "Fast random integer generation in an interval", ACM Transactions on Modeling and
     * Computer Simulation 29 (2019), algorithm 5. */
    __extension__ typedef unsigned __int128 wide;
    if (limit == 0)
        return random_bits(stream);
    wide product = (wide)random_bits(stream) * limit;
    if ((uint64_t)product < limit) {
        uint64_t threshold = -limit % limit;
        while ((uint64_t)product < threshold)
            product = (wide)random_bits(stream) * limit;
    }
    return (uint64_t)(product >> 64);
}

struct random_stream *random_use(struct random_stream *stream)
{
    struct random_stream *before = task_stream;
    task_stream = stream;
    return before;
}

struct random_stream *random_current(void)
{
    if (task_stream)
        return task_stream;
    if (!own_stream_open) {
        open_stream(&own_stream, random_system_seed(), 0, 0);
        own_stream_open = true;
    }
    return &own_stream;
}

/* --- for Lua --- */

#define STREAM_CLASS "lkrun.random.stream"

/* Takes the arguments of math.random from stack index `first` on, and pushes its result. */
static int push_draw(lua_State *L, struct random_stream *stream, int first)
{
    lua_Integer low = 1, high;
    switch (lua_gettop(L) - first + 1) {
    case 0:
        lua_pushnumber(L, random_uniform(stream));
        return 1;
    case 1:
        high = luaL_checkinteger(L, first);
        if (high == 0) {
            lua_pushinteger(L, (lua_Integer)random_bits(stream));
            return 1;
        }
        break;
    case 2:
        low = luaL_checkinteger(L, first);
        high = luaL_checkinteger(L, first + 1);
        break;
    default:
        return luaL_error(L, "wrong number of arguments");
    }
    luaL_argcheck(L, low <= high, first, "interval is empty");
    uint64_t limit = (uint64_t)high - (uint64_t)low + 1;
    lua_pushinteger(L, (lua_Integer)((uint64_t)low + random_below(stream, limit)));
    return 1;
}

static int push_normal(lua_State *L, struct random_stream *stream, int first)
{
    double mean = luaL_optnumber(L, first, 0);
    double deviation = luaL_optnumber(L, first + 1, 1);
    luaL_argcheck(L, deviation >= 0, first + 1,
                  "the standard deviation is negative; expected 0 or more");
    lua_pushnumber(L, mean + deviation * random_normal(stream));
    return 1;
}

/* R. Durstenfeld, "Algorithm 235: random permutation", Communications of the ACM 7 (1964). */
static int shuffle(lua_State *L, struct random_stream *stream, int index)
{
    luaL_checktype(L, index, LUA_TTABLE);
    lua_settop(L, index);
    for (lua_Integer i = luaL_len(L, index); i > 1; i--) {
        lua_Integer j = 1 + (lua_Integer)random_below(stream, (uint64_t)i);
        lua_geti(L, index, i);
        lua_geti(L, index, j);
        lua_seti(L, index, i);
        lua_seti(L, index, j);
    }
    return 1;
}

/* lk.random itself: `__call` of the module, whose first argument is the module. */
static int random_call(lua_State *L)
{
    lua_remove(L, 1);
    return push_draw(L, random_current(), 1);
}

static int current_normal(lua_State *L)
{
    return push_normal(L, random_current(), 1);
}

static int current_shuffle(lua_State *L)
{
    return shuffle(L, random_current(), 1);
}

static int current_seed(lua_State *L)
{
    uint64_t seed = (uint64_t)luaL_checkinteger(L, 1);
    if (!task_stream)
        own_stream_open = true;
    open_stream(task_stream ? task_stream : &own_stream, seed, 0, 0);
    return 0;
}

static struct random_stream *check_stream(lua_State *L)
{
    return luaL_checkudata(L, 1, STREAM_CLASS);
}

static int stream_open(lua_State *L)
{
    lua_Integer root = luaL_checkinteger(L, 1);
    lua_Integer map = luaL_optinteger(L, 2, 1);
    lua_Integer task = luaL_optinteger(L, 3, 1);
    struct random_stream *stream = lua_newuserdatauv(L, sizeof *stream, 0);
    open_stream(stream, (uint64_t)root, (uint64_t)map, (uint64_t)task);
    luaL_setmetatable(L, STREAM_CLASS);
    return 1;
}

static int stream_uniform(lua_State *L)
{
    lua_pushnumber(L, random_uniform(check_stream(L)));
    return 1;
}

static int stream_integer(lua_State *L)
{
    struct random_stream *stream = check_stream(L);
    luaL_checkinteger(L, 2);
    return push_draw(L, stream, 2);
}

static int stream_normal(lua_State *L)
{
    return push_normal(L, check_stream(L), 2);
}

static int stream_shuffle(lua_State *L)
{
    struct random_stream *stream = check_stream(L);
    return shuffle(L, stream, 2);
}

/* use(stream): for tests, which do here what the pool does around a task: this stream is in use
 * until the next call; use(nil) ends that. */
static int stream_use(lua_State *L)
{
    struct random_stream *stream = lua_isnoneornil(L, 1) ? NULL : check_stream(L);
    lua_settop(L, 1);
    lua_setfield(L, LUA_REGISTRYINDEX, "lkrun.random.used"); /* keeps it alive while it is in use */
    random_use(stream);
    return 0;
}

/* block(four words of the counter, two of the key) → the four words of that block of the bare
 * generator, to compare with its published test vectors */
static int block_of(lua_State *L)
{
    uint32_t words[6], block[4];
    for (int i = 0; i < 6; i++)
        words[i] = (uint32_t)luaL_checkinteger(L, i + 1);
    uint64_t counter[2] = {words[0] | (uint64_t)words[1] << 32,
                           words[2] | (uint64_t)words[3] << 32};
    philox(counter, words + 4, block);
    for (int i = 0; i < 4; i++)
        lua_pushinteger(L, block[i]);
    return 4;
}

/* math.random and math.randomseed are wrapped. Lua's own functions keep their generator as their
 * first upvalue; a wrapper has that generator as its first upvalue, too, and the wrapped
 * function as its second. So it can call the function's C code directly, whose errors then name
 * the right function. */
static int call_original(lua_State *L)
{
    if (lua_isuserdata(L, lua_upvalueindex(1)))
        return lua_tocfunction(L, lua_upvalueindex(2))(L);
    lua_pushvalue(L, lua_upvalueindex(2));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    return lua_gettop(L);
}

static int math_random(lua_State *L)
{
    return task_stream ? push_draw(L, task_stream, 1) : call_original(L);
}

static int math_randomseed(lua_State *L)
{
    if (!task_stream)
        return call_original(L);
    lua_Integer seeds[2] = {0, 0};
    double fraction = lua_type(L, 1) == LUA_TNUMBER ? lua_tonumber(L, 1) : 0;
    if (lua_isnone(L, 1))
        seeds[0] = (lua_Integer)random_system_seed();
    else if (fraction != floor(fraction)) /* a time, for example: its bits serve as a seed */
        memcpy(seeds, &fraction, sizeof fraction);
    else
        seeds[0] = luaL_checkinteger(L, 1);
    seeds[1] = luaL_optinteger(L, 2, 0);
    open_stream(task_stream, (uint64_t)seeds[0], 0, (uint64_t)seeds[1]);
    lua_pushinteger(L, seeds[0]);
    lua_pushinteger(L, seeds[1]);
    return 2;
}

/* Wraps the function in this field of the table on top of the stack, unless
 * it is wrapped already. */
static void wrap(lua_State *L, const char *name, lua_CFunction wrapper)
{
    int table = lua_gettop(L);
    lua_getfield(L, table, name);
    lua_CFunction original = lua_tocfunction(L, -1);
    if (lua_isfunction(L, -1) && original != wrapper) {
        /* Only a C function with a userdata as its one upvalue can be called directly; of any other
         * the first upvalue becomes false. */
        if (!original || !lua_getupvalue(L, -1, 1)) {
            lua_pushboolean(L, false);
        } else if (lua_getupvalue(L, -2, 2)) {
            lua_pop(L, 2);
            lua_pushboolean(L, false);
        }
        lua_pushvalue(L, -2);
        lua_pushcclosure(L, wrapper, 2);
        lua_setfield(L, table, name);
    }
    lua_settop(L, table);
}

void random_install(lua_State *L)
{
    luaL_checkstack(L, 8, NULL);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    if (lua_getfield(L, -1, "math") == LUA_TTABLE) {
        wrap(L, "random", math_random);
        wrap(L, "randomseed", math_randomseed);
    }
    lua_pop(L, 2);
}

static int install(lua_State *L)
{
    random_install(L);
    return 0;
}

static const luaL_Reg stream_methods[] = {
    {"uniform", stream_uniform},
    {"integer", stream_integer},
    {"normal", stream_normal},
    {"shuffle", stream_shuffle},
    {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"call", random_call},  {"normal", current_normal}, {"shuffle", current_shuffle},
    {"seed", current_seed}, {"stream", stream_open},    {"use", stream_use},
    {"install", install},   {"block", block_of},        {NULL, NULL},
};

int luaopen_lkrun_core_random(lua_State *L);
int luaopen_lkrun_core_random(lua_State *L)
{
    register_class(L, STREAM_CLASS, stream_methods);
    luaL_newlib(L, functions);
    return 1;
}
