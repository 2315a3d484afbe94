/* What Lua cannot reach of the codec: tensors that travel beside the bytes, memory that runs out at
 * every allocation, and the inline forms. */
/* runs under: thread, valgrind */
#include "value/codec_decode.h"
#include "value/codec_encode.h"
#include "value/codec_scalar.h"

#include <string.h>
#include <lauxlib.h>
#include <lualib.h>

#include "state/host.h"
#include "memory/region.h"
#include "tensor/tensor.h"
#include "../support/tap.h"

#define MAX_PLACED 8

/* A port between two ends in one process: handles are positions in a list. */
struct port_state {
    struct placed {
        void *memory;
        size_t bytes;
    } placed[MAX_PLACED];
    int count;
    int limit;       /* placements that there is room for */
    int released;    /* storages given back */
    size_t short_of; /* bytes that `fetch` withholds */
    bool lost;       /* whether `fetch` finds nothing */
};

static void *place(void *context, size_t bytes, uint64_t *handle, const char **error)
{
    struct port_state *state = context;
    if (state->count == state->limit) {
        *error = "the region is full";
        return NULL;
    }
    *handle = (uint64_t)state->count;
    struct placed *placed = &state->placed[state->count++];
    *placed = (struct placed){malloc(bytes), bytes};
    return placed->memory;
}

static void release(struct storage *storage)
{
    struct port_state *state = storage->owner;
    state->released++;
}

static struct storage *fetch(void *context, uint64_t handle, size_t bytes, const char **error)
{
    struct port_state *state = context;
    if (state->lost || handle >= (uint64_t)state->count || state->placed[handle].bytes != bytes) {
        *error = "no such handle";
        return NULL;
    }
    return storage_wrap(state->placed[handle].memory, bytes - state->short_of, release, state,
                        handle);
}

static void free_placed(struct port_state *state)
{
    for (int i = 0; i < state->count; i++)
        free(state->placed[i].memory);
}

static lua_State *new_state(void)
{
    lua_State *L = luaL_newstate();
    luaL_openlibs(L);
    host_preload(L);
    return L;
}

/* Leaves the values of this chunk, with `tensor` in reach, on the stack. */
static int run(lua_State *L, const char *chunk)
{
    int base = lua_gettop(L);
    lua_pushfstring(L, "local tensor = require('lkrun').tensor %s", chunk);
    if (luaL_dostring(L, lua_tostring(L, -1))) {
        fprintf(stderr, "%s\n", lua_tostring(L, -1));
        exit(1);
    }
    lua_remove(L, base + 1);
    return lua_gettop(L) - base;
}

#define BIG "local big = tensor.arange(1, 20000) "

static bool placed_and_fetched(void)
{
    struct port_state state = {.limit = MAX_PLACED};
    struct codec_port port = {&state, place, fetch};
    struct buffer out = {0};
    lua_State *L = new_state();
    run(L, BIG "return {big, {big}, tensor.arange(1, 8192)}");
    bool done = codec_encode(L, 1, 1, "task", &port, &out) && state.count == 1 &&
                state.placed[0].bytes == 20000 * sizeof(double) &&
                out.length < 8192 * sizeof(double) + 200; /* 64 KiB exactly lies inline */
    lua_settop(L, 0);
    done = done && codec_decode(L, out.data, out.length, &port) == 1;
    lua_rawgeti(L, 1, 1);
    lua_rawgeti(L, 1, 2);
    lua_rawgeti(L, -1, 1);
    struct tensor *tensor = tensor_test(L, 2);
    done = done && tensor && lua_rawequal(L, 2, -1) && tensor->count == 20000 &&
           tensor_data(tensor) == state.placed[0].memory &&
           ((double *)tensor_data(tensor))[19999] == 20000;
    lua_close(L);
    buffer_free(&out);
    free_placed(&state);
    return done && state.released == 1;
}

static bool strided_is_placed_in_order(void)
{
    struct port_state state = {.limit = MAX_PLACED};
    struct codec_port port = {&state, place, fetch};
    struct buffer out = {0};
    lua_State *L = new_state();
    run(L, "local big = tensor.randn{300, 200} return big:t(), big");
    bool done = codec_encode(L, 1, 1, "task", &port, &out) && state.count == 1;
    const double *placed = state.placed[0].memory;
    const double *original = tensor_data(tensor_check(L, 2));
    for (int i = 0; i < 200; i++)
        for (int j = 0; j < 300; j++)
            done = done && placed[i * 300 + j] == original[j * 200 + i];
    lua_close(L);
    buffer_free(&out);
    free_placed(&state);
    return done;
}

static bool refused_when_full(void)
{
    struct port_state state = {.limit = 1};
    struct codec_port port = {&state, place, fetch};
    struct buffer out = {0};
    buffer_append(&out, "before", 6);
    lua_State *L = new_state();
    run(L, "local a, b = tensor.zeros{10000}, tensor.zeros{10000} return {a, {x = b}}");
    bool done = !codec_encode(L, 1, 1, "task[7]", &port, &out) && out.length == 6 &&
                strcmp(lua_tostring(L, -1), "task[7][2].x: the region is full") == 0 &&
                lua_gettop(L) == 2 && state.count == 1; /* which the caller knows and takes back */
    lua_close(L);
    buffer_free(&out);
    free_placed(&state);
    return done;
}

static bool says(lua_State *L, const struct buffer *bytes, const struct codec_port *port,
                 const char *text)
{
    bool right = codec_decode(L, bytes->data, bytes->length, port) == -1 && lua_gettop(L) == 1 &&
                 strstr(lua_tostring(L, -1), text);
    lua_settop(L, 0);
    return right;
}

static bool lost_when_fetched(void)
{
    struct port_state state = {.limit = MAX_PLACED};
    struct codec_port port = {&state, place, fetch};
    struct buffer out = {0};
    lua_State *L = new_state();
    run(L, BIG "return {1, {big, big}}");
    bool done = codec_encode(L, 1, 1, "task", &port, &out);
    lua_settop(L, 0);
    done = done && says(L, &out, NULL, "a tensor in it lies elsewhere");
    state.short_of = 1;
    done = done && says(L, &out, &port, "larger than its storage") && state.released == 1;
    state.short_of = 0;
    state.lost = true;
    done = done && says(L, &out, &port, "no such handle") && state.released == 1;
    lua_close(L);
    buffer_free(&out);
    free_placed(&state);
    return done;
}

/* An allocator that refuses when `left` reaches 0; negative: never. */
struct rationed {
    long left;
};

static void *allocate(void *context, void *block, size_t old_size, size_t new_size)
{
    struct rationed *rationed = context;
    if (new_size == 0) {
        free(block);
        return NULL;
    }
    bool grows = !block || new_size > old_size;
    if (grows && rationed->left == 0)
        return NULL;
    if (grows && rationed->left > 0)
        rationed->left--;
    return realloc(block, new_size);
}

struct round_trip {
    const struct codec_port *port;
    struct buffer out;
};

static int travel(lua_State *L)
{
    struct round_trip *trip = lua_touserdata(L, 2);
    trip->out.length = 0;
    if (!codec_encode(L, 1, 1, "value", trip->port, &trip->out))
        return lua_error(L);
    if (codec_decode(L, trip->out.data, trip->out.length, trip->port) < 0)
        return lua_error(L);
    return 1;
}

/* Encodes and decodes the value with memory for no allocation, for one, and so on: an error each
 * time, and at last the value. */
static bool memory_runs_out(const char *chunk)
{
    struct rationed rationed = {-1};
    lua_State *L = lua_newstate(allocate, &rationed);
    luaL_openlibs(L);
    host_preload(L);
    run(L, chunk);
    lua_gc(L, LUA_GCSTOP);
    int status = LUA_ERRMEM;
    long ration = 0;
    bool done = true;
    for (; done && status != LUA_OK && ration < 100000; ration++) {
        struct port_state state = {.limit = MAX_PLACED};
        struct codec_port port = {&state, place, fetch};
        struct round_trip trip = {&port, {0}};
        lua_settop(L, 1);
        lua_gc(L, LUA_GCCOLLECT);
        lua_pushcfunction(L, travel);
        lua_pushvalue(L, 1);
        lua_pushlightuserdata(L, &trip);
        rationed.left = ration;
        status = lua_pcall(L, 2, 1, 0);
        rationed.left = -1;
        done = status == LUA_OK || lua_type(L, -1) == LUA_TSTRING;
        lua_settop(L, 1);
        lua_gc(L, LUA_GCCOLLECT);
        buffer_free(&trip.out);
        free_placed(&state);
    }
    lua_close(L);
    return done && status == LUA_OK && ration > 1;
}

static bool inline_forms_agree(void)
{
    struct buffer out = {0};
    lua_State *L = new_state();
    int count =
        run(L, "return nil, true, false, 0, 127, 128, -1, 1 << 40, math.mininteger, 0.5, 0/0, "
               "'', ('x'):rep(63), require('lkrun').null");
    bool done = true;
    for (int i = 1; i <= count; i++) {
        char bytes[CODEC_SCALAR_MAX];
        size_t length = codec_put(L, i, bytes);
        out.length = 0;
        done = done && length > 0 && codec_encode(L, i, 1, "value", NULL, &out) &&
               out.length == length && memcmp(out.data, bytes, length) == 0;
        for (size_t shorter = 0; done && shorter < length; shorter++)
            done = codec_get(L, bytes, shorter) == 0 && lua_gettop(L) == count;
        done = done && codec_get(L, bytes, length) == length && lua_gettop(L) == count + 1 &&
               lua_type(L, -1) == lua_type(L, i) && (i == 11 || lua_rawequal(L, -1, i));
        lua_settop(L, count);
    }
    run(L, "return ('x'):rep(64), {}, print, tensor.ones{1}");
    for (int i = count + 1; i <= lua_gettop(L); i++) {
        char bytes[CODEC_SCALAR_MAX];
        done = done && codec_put(L, i, bytes) == 0;
    }
    lua_close(L);
    buffer_free(&out);
    return done;
}

int main(void)
{
    tap_ok(placed_and_fetched(), "a large tensor is placed once and fetched without a copy");
    tap_ok(strided_is_placed_in_order(), "a large view is placed in row-major order");
    tap_ok(refused_when_full(), "a full region is an error with the path, and nothing is appended");
    tap_ok(lost_when_fetched(), "a tensor that cannot be fetched is an error and leaks nothing");
    tap_ok(memory_runs_out("local t = {1, 2.5, x = {y = ('long'):rep(100)}} t.again = t return t"),
           "memory that runs out in a table is an error");
    tap_ok(memory_runs_out("local t = {} for i = 1, 40 do t = {t, {}} end return t"),
           "memory that runs out in nested tables is an error");
    tap_ok(memory_runs_out(BIG "return {big, big:narrow(1, 1, 100), big}"),
           "memory that runs out in tensors is an error");
    tap_ok(inline_forms_agree(), "the inline forms write and read the same bytes");
    return tap_done();
}
