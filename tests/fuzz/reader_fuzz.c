/* Gives bytes that anybody may have made to a reader, as a file (libFuzzer: make fuzz). LKRUN_FUZZ
 * is a Lua program, tests/fuzz/NAME.lua, that returns a function of the file's path; whatever that
 * raises is a finding. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <lauxlib.h>
#include <lualib.h>

#include "state/host.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static int file = -1;
static char path[40];

static void fail(const char *what)
{
    fprintf(stderr, "reader_fuzz: %s\n", what ? what : "an error without text");
    abort();
}

/* A state with the program's function at the bottom of its stack. */
static lua_State *open_state(void)
{
    const char *program = getenv("LKRUN_FUZZ");
    lua_State *L = luaL_newstate();
    if (!L || !program)
        fail("LKRUN_FUZZ names a program");
    luaL_openlibs(L);
    host_preload(L);
    if (luaL_dofile(L, program))
        fail(lua_tostring(L, -1));
    file = memfd_create("fuzz", MFD_CLOEXEC);
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    lua_settop(L, 1);
    return L;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    static lua_State *L;
    if (!L)
        L = open_state();
    if (ftruncate(file, 0) < 0 || pwrite(file, bytes, length, 0) != (ssize_t)length)
        fail("the file can't be written");
    lua_pushvalue(L, 1);
    lua_pushstring(L, path);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK)
        fail(lua_tostring(L, -1));
    lua_gc(L, LUA_GCCOLLECT); /* no mapping outlives its file's bytes */
    return 0;
}
