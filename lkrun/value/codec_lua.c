/* The codec as a module for Lua, lkrun.core.codec. */
#include <stdint.h>
#include <time.h>

#include <lua.h>
#include <lauxlib.h>

#include "base/util.h"
#include "value/codec_decode.h"
#include "value/codec_encode.h"

#define BUFFER_CLASS "lkrun.codec.buffer"

static int buffer_collect(lua_State *L)
{
    buffer_free(luaL_checkudata(L, 1, BUFFER_CLASS));
    return 0;
}

/* encode(...) → bytes; raises for what can't be sent. Paths in errors begin with value, value#2, …
 */
static int encode(lua_State *L)
{
    int count = lua_gettop(L);
    luaL_checkstack(L, 12, NULL);
    struct buffer *buffer = lua_newuserdatauv(L, sizeof *buffer, 0);
    *buffer = (struct buffer){0};
    luaL_setmetatable(L, BUFFER_CLASS);
    if (!codec_encode(L, 1, count, "value", NULL, buffer))
        return lua_error(L);
    lua_pushlstring(L, buffer->data ? buffer->data : "", buffer->length);
    buffer_free(buffer);
    return 1;
}

/* decode(bytes) → ...; raises where the bytes are no encoding. */
static int decode(lua_State *L)
{
    size_t length;
    const char *bytes = luaL_checklstring(L, 1, &length);
    int count = codec_decode(L, bytes, length, NULL);
    if (count < 0)
        return lua_error(L);
    return count;
}

static uint64_t processor_nanoseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* time(n, ...) → nanoseconds of processor time to encode these values, and to decode them; the
 * means of n times, into memory that was allocated before. For benchmarks: it is what the codec
 * costs the pool. */
static int measure(lua_State *L)
{
    lua_Integer times = luaL_checkinteger(L, 1);
    int count = lua_gettop(L) - 1;
    luaL_checkstack(L, 12 + count, NULL);
    struct buffer *buffer = lua_newuserdatauv(L, sizeof *buffer, 0);
    *buffer = (struct buffer){0};
    luaL_setmetatable(L, BUFFER_CLASS);
    uint64_t start = processor_nanoseconds();
    for (lua_Integer i = 0; i < times; i++) {
        buffer->length = 0;
        if (!codec_encode(L, 2, count, "value", NULL, buffer))
            return lua_error(L);
    }
    uint64_t encoded = processor_nanoseconds();
    for (lua_Integer i = 0; i < times; i++) {
        if (codec_decode(L, buffer->data, buffer->length, NULL) < 0)
            return lua_error(L);
        lua_pop(L, count);
    }
    uint64_t decoded = processor_nanoseconds();
    lua_pushnumber(L, (double)(encoded - start) / (double)times);
    lua_pushnumber(L, (double)(decoded - encoded) / (double)times);
    return 2;
}

static const luaL_Reg buffer_methods[] = {{"__gc", buffer_collect}, {NULL, NULL}};
static const luaL_Reg functions[] = {
    {"encode", encode}, {"decode", decode}, {"time", measure}, {NULL, NULL}};

int luaopen_lkrun_core_codec(lua_State *L);
int luaopen_lkrun_core_codec(lua_State *L)
{
    register_class(L, BUFFER_CLASS, buffer_methods);
    luaL_newlib(L, functions);
    return 1;
}
