/* The module for Lua, lkrun.core.output, of files that are written piece by piece and appear whole
 * or not at all. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <lua.h>
#include <lauxlib.h>

#include "base/atomic_file.h"
#include "base/util.h"

#define OUTPUT_CLASS "lkrun.output"
#define WRITE_BEHIND ((size_t)256 << 10) /* bytes gathered before they are written */

struct output_file {
    struct atomic_file file;
    pid_t owner; /* the process that opened it; a forked copy leaves the file alone */
    struct buffer gathered;
};

static struct output_file *output_file_check(lua_State *L)
{
    struct output_file *output = luaL_checkudata(L, 1, OUTPUT_CLASS);
    if (output->file.fd < 0)
        luaL_error(L, "the output is closed");
    return output;
}

/* open(path) → output, or nil, why not */
static int output_file_open(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    struct output_file *output = lua_newuserdatauv(L, sizeof *output, 0);
    memset(output, 0, sizeof *output);
    output->file.fd = -1;
    output->owner = getpid();
    luaL_setmetatable(L, OUTPUT_CLASS);
    if (atomic_file_open(&output->file, path))
        return 1;
    lua_pushnil(L);
    lua_pushstring(L, output->file.problem);
    return 2;
}

static int fail(lua_State *L, const struct output_file *output)
{
    lua_pushnil(L);
    lua_pushstring(L, output->file.problem);
    return 2;
}

static bool flush(struct output_file *output)
{
    bool done = atomic_file_write(&output->file, output->gathered.data, output->gathered.length);
    output->gathered.length = 0;
    return done;
}

/* output:write(bytes) → true, or nil, why not */
static int output_file_write(lua_State *L)
{
    struct output_file *output = output_file_check(L);
    size_t length;
    const char *bytes = luaL_checklstring(L, 2, &length);
    if (!buffer_append(&output->gathered, bytes, length))
        return luaL_error(L, "not enough memory");
    if (output->gathered.length >= WRITE_BEHIND && !flush(output))
        return fail(L, output);
    lua_pushboolean(L, true);
    return 1;
}

/* output:commit(start) → true, or nil, why not. Brings the file onto the disk and to its place,
 * after writing `start`, if it is given, over its first bytes. */
static int output_file_commit(lua_State *L)
{
    struct output_file *output = output_file_check(L);
    size_t length;
    const char *start = luaL_optlstring(L, 2, "", &length);
    bool done = flush(output);
    if (done && length > 0 && lseek(output->file.fd, 0, SEEK_SET) == 0)
        done = atomic_file_write(&output->file, start, length);
    if (!done || !atomic_file_commit(&output->file))
        return fail(L, output);
    lua_pushboolean(L, true);
    return 1;
}

static int output_file_close(lua_State *L)
{
    struct output_file *output = luaL_checkudata(L, 1, OUTPUT_CLASS);
    if (output->owner == getpid())
        atomic_file_abandon(&output->file);
    buffer_free(&output->gathered);
    return 0;
}

static const luaL_Reg methods[] = {{"write", output_file_write}, {"commit", output_file_commit},
                                   {"close", output_file_close}, {"__close", output_file_close},
                                   {"__gc", output_file_close},  {NULL, NULL}};
static const luaL_Reg functions[] = {{"open", output_file_open}, {NULL, NULL}};

int luaopen_lkrun_core_output(lua_State *L);
int luaopen_lkrun_core_output(lua_State *L)
{
    register_class(L, OUTPUT_CLASS, methods);
    luaL_newlib(L, functions);
    return 1;
}
