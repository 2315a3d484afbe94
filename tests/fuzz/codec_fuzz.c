/* Decodes bytes that anybody may have made (libFuzzer: make fuzz). What decodes can be encoded
 * again, and that decodes to values whose encoding has as many bytes. */
#include "value/codec_decode.h"
#include "value/codec_encode.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdlib.h>
#include <string.h>

#include "state/host.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static struct buffer first, second;

static void fail(const char *what)
{
    fprintf(stderr, "codec_fuzz: %s\n", what);
    abort();
}

static int round_trip(lua_State *L)
{
    size_t length;
    const char *bytes = lua_tolstring(L, 1, &length);
    int base = lua_gettop(L);
    int count = codec_decode(L, bytes, length, NULL);
    if (count < 0) {
        if (lua_gettop(L) != base + 1 || lua_type(L, -1) != LUA_TSTRING)
            fail("a refusal without its message");
        return 0;
    }
    if (lua_gettop(L) != base + count)
        fail("not as many values as it says");
    first.length = second.length = 0;
    if (!codec_encode(L, base + 1, count, "value", NULL, &first))
        fail(lua_tostring(L, -1));
    lua_settop(L, base);
    if (codec_decode(L, first.data, first.length, NULL) != count)
        fail("its own encoding is refused");
    if (!codec_encode(L, base + 1, count, "value", NULL, &second))
        fail(lua_tostring(L, -1));
    if (first.length != second.length)
        fail("the second encoding has another length than the first");
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    static lua_State *L;
    if (!L) {
        L = luaL_newstate();
        luaL_openlibs(L);
        host_preload(L);
        if (luaL_dostring(L, "require('lkrun.core.tensor') require('lkrun.core.sparse')"))
            fail(lua_tostring(L, -1));
    }
    lua_pushcfunction(L, round_trip);
    lua_pushlstring(L, (const char *)bytes, length);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK)
        fail(lua_tostring(L, -1)); /* only a lack of memory may raise, and there is enough of it */
    return 0;
}
