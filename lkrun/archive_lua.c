/* Models in archives: bundles, and NumPy's .npz files. */
#include <stdio.h>
#include <string.h>
#include <lauxlib.h>

#include "archive_arrays.h"
#include "archive_write.h"
#include "bundle.h"
#include "source.h"
#include "tensor_class.h"
#include "util.h"

/* (path, name, copy, size_limit) */
static struct archive_arrays load_arguments(lua_State *L)
{
    lua_settop(L, 4);
    return (struct archive_arrays){.path = path_argument(L, 1, "lk.load"),
                                   .wanted = lua_tostring(L, 2),
                                   .copy = lua_toboolean(L, 3),
                                   .size_limit = lua_tointeger(L, 4)};
}

static int load_bundle(lua_State *L)
{
    struct archive_arrays job = load_arguments(L);
    job.text = job.wanted ? NULL : BUNDLE_MANIFEST;
    archive_arrays_load(L, &job);
    int arrays = lua_gettop(L);
    if (job.wanted) {
        lua_getfield(L, arrays, job.wanted);
        return 1;
    }
    lua_pushcfunction(L, bundle_decode);
    if (lua_getfield(L, arrays, BUNDLE_MANIFEST) != LUA_TSTRING)
        raise_error(L, "lk.load",
                    "%s: there is no entry '" BUNDLE_MANIFEST "'; a bundle is expected", job.path);
    lua_pushvalue(L, arrays);
    if (lua_pcall(L, 2, 1, 0) == LUA_OK)
        return 1;
    if (lua_type(L, -1) != LUA_TSTRING)
        return lua_error(L);
    const char *problem = lua_tostring(L, -1);
    size_t prefix = strlen("lkrun: ");
    return raise_error(L, "lk.load", "%s: %s", job.path,
                       strncmp(problem, "lkrun: ", prefix) == 0 ? problem + prefix : problem);
}

static int raise_writer(lua_State *L, const char *path, const struct archive_writer *writer)
{
    return raise_error(L, "lk.save", "%s: %s", path, writer->problem);
}

/* (path, model, filter, compress) */
static int save_bundle(lua_State *L)
{
    const char *path = path_argument(L, 1, "lk.save"), *filter = luaL_checkstring(L, 3);
    bool compress = lua_toboolean(L, 4);
    lua_settop(L, 2);
    bundle_encode(L, 2, path);
    int manifest = lua_gettop(L) - 1, arrays = manifest + 1;
    struct archive_writer *writer = archive_writer_push(L);
    size_t length;
    const char *text = lua_tolstring(L, manifest, &length);
    bool done = archive_writer_open(writer, path, filter, compress) &&
                archive_writer_add(writer, BUNDLE_MANIFEST, text, length);
    lua_Integer count = (lua_Integer)lua_rawlen(L, arrays);
    for (lua_Integer i = 1; i < count && done; i += 2) {
        lua_rawgeti(L, arrays, i);
        lua_rawgeti(L, arrays, i + 1);
        const char *name = lua_pushfstring(L, "%s.npy", lua_tostring(L, -2));
        done = archive_writer_add_tensor(writer, name, tensor_check(L, -2));
        lua_pop(L, 3);
    }
    if (!done || !archive_writer_commit(writer))
        raise_writer(L, path, writer);
    return 0;
}

static const luaL_Reg functions[] = {
    {"load_bundle", load_bundle}, {"save_bundle", save_bundle}, {NULL, NULL}};

int luaopen_lkrun_core_archive(lua_State *L);
int luaopen_lkrun_core_archive(lua_State *L)
{
    luaL_newlib(L, functions);
    return 1;
}
