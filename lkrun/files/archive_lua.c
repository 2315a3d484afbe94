/* Models in archives: bundles, and NumPy's .npz files. */
#include <stdio.h>
#include <string.h>
#include <lauxlib.h>

#include "base/util.h"
#include "files/archive_arrays.h"
#include "files/archive_read.h"
#include "files/archive_write.h"
#include "files/bundle.h"
#include "files/bundle_decode.h"
#include "files/bundle_encode.h"
#include "files/npy.h"
#include "files/scipy.h"
#include "files/source.h"
#include "sparse/sparse.h"
#include "tensor/tensor.h"

/* The arguments of load_bundle and load_npz: (path, name, copy, size_limit). */
static struct archive_arrays load_arguments(lua_State *L)
{
    lua_settop(L, 4);
    return (struct archive_arrays){.path = path_argument(L, 1, "lk.load"),
                                   .wanted = lua_tostring(L, 2),
                                   .copy = lua_toboolean(L, 3),
                                   .size_limit = lua_tointeger(L, 4)};
}

/* Calls the function below its arguments on the stack, and puts in front of its error which file,
 * and which part of it, it is about. */
static int call_for(lua_State *L, const char *path, const char *part, int arguments)
{
    if (lua_pcall(L, arguments, 1, 0) == LUA_OK)
        return 1;
    if (lua_type(L, -1) != LUA_TSTRING)
        return lua_error(L);
    const char *problem = lua_tostring(L, -1);
    size_t prefix = strlen("lkrun: ");
    return raise_error(L, "lk.load", "%s: %s: %s", path, part,
                       strncmp(problem, "lkrun: ", prefix) == 0 ? problem + prefix : problem);
}

/* load_bundle(path, name, copy, size_limit) */
static int load_bundle(lua_State *L)
{
    struct archive_arrays job = load_arguments(L);
    job.text_entry = BUNDLE_MANIFEST;
    job.text_limit = INT64_MAX;
    archive_arrays_load(L, &job);
    int arrays = lua_gettop(L);
    if (job.wanted) {
        lua_getfield(L, arrays, job.wanted);
        return 1;
    }
    lua_pushcfunction(L, bundle_decode);
    if (lua_rawgeti(L, arrays, 1) != LUA_TSTRING)
        raise_error(L, "lk.load", "%s: there is no entry '" BUNDLE_MANIFEST "'; expected a bundle",
                    job.path);
    lua_pushvalue(L, arrays);
    return call_for(L, job.path, BUNDLE_MANIFEST, 2);
}

/* Sets arrays.format to the array in the text on top: the entry was read as text because it is
 * small enough to name SciPy's layout, but it is a plain array. */
static void set_format_array(lua_State *L, const struct archive_arrays *job, int arrays)
{
    size_t length;
    const char *text = lua_tolstring(L, -1, &length);
    struct source source = source_of_memory(text, length);
    if (!npy_read(L, &source, job->copy))
        raise_error(L, "lk.load", "%s: entry '" SCIPY_FORMAT "': %s", job->path, source.problem);
    lua_setfield(L, arrays, "format");
    lua_pushnil(L);
    lua_rawseti(L, arrays, 1);
}

/* load_npz(path, name, copy, size_limit) */
static int load_npz(lua_State *L)
{
    struct archive_arrays job = load_arguments(L);
    job.text_entry = SCIPY_FORMAT;
    job.text_limit = SCIPY_FORMAT_MOST;
    job.arrays_only = true;
    archive_arrays_load(L, &job);
    int arrays = lua_gettop(L);
    if (job.wanted) {
        lua_getfield(L, arrays, job.wanted);
        return 1;
    }
    char format[4];
    size_t length;
    bool has_format = lua_rawgeti(L, arrays, 1) == LUA_TSTRING;
    const char *text = has_format ? lua_tolstring(L, -1, &length) : NULL;
    if (text && scipy_read_format(text, length, format)) {
        lua_pushcfunction(L, scipy_to_sparse);
        lua_pushvalue(L, arrays);
        lua_pushstring(L, format);
        return call_for(L, job.path, "SciPy's layout", 2);
    }
    if (text)
        set_format_array(L, &job, arrays);
    lua_settop(L, arrays);
    return 1;
}

static int raise_writer(lua_State *L, const char *path, const struct archive_writer *writer)
{
    return raise_error(L, "lk.save", "%s: %s", path, writer->problem);
}

/* Adds the tensors of a sequence: name, tensor, name, tensor … */
static bool add_arrays(lua_State *L, struct archive_writer *writer, int arrays)
{
    lua_Integer count = (lua_Integer)lua_rawlen(L, arrays);
    bool done = true;
    for (lua_Integer i = 1; i < count && done; i += 2) {
        lua_rawgeti(L, arrays, i);
        lua_rawgeti(L, arrays, i + 1);
        const char *name = lua_pushfstring(L, "%s.npy", lua_tostring(L, -2));
        done = archive_writer_add_tensor(writer, name, tensor_check(L, -2));
        lua_pop(L, 3);
    }
    return done;
}

/* save_bundle(path, model, filter, compress) */
static int save_bundle(lua_State *L)
{
    const char *path = path_argument(L, 1, "lk.save"), *filter = luaL_checkstring(L, 3);
    bool compress = lua_toboolean(L, 4);
    lua_settop(L, 2);
    bundle_encode(L, 2, path);
    int manifest = lua_gettop(L) - 1;
    struct archive_writer *writer = archive_writer_push(L);
    size_t length;
    const char *text = lua_tolstring(L, manifest, &length);
    if (!archive_writer_open(writer, path, filter, compress) ||
        !archive_writer_add(writer, BUNDLE_MANIFEST, text, length) ||
        !add_arrays(L, writer, manifest + 1) || !archive_writer_commit(writer))
        raise_writer(L, path, writer);
    return 0;
}

/* save_npz(path, arrays, compress): a sequence name, tensor, name, tensor … */
static int save_npz(lua_State *L)
{
    const char *path = path_argument(L, 1, "lk.save");
    bool compress = lua_toboolean(L, 3);
    lua_settop(L, 2);
    struct archive_writer *writer = archive_writer_push(L);
    if (!archive_writer_open(writer, path, "zip", compress) || !add_arrays(L, writer, 2) ||
        !archive_writer_commit(writer))
        raise_writer(L, path, writer);
    return 0;
}

/* save_scipy(path, matrix, compress) */
static int save_scipy(lua_State *L)
{
    static const char *const names[] = {"indices", "indptr", "shape", "data"};
    const char *path = path_argument(L, 1, "lk.save");
    bool compress = lua_toboolean(L, 3);
    sparse_argument(L, 2, "lk.save");
    lua_settop(L, 2);
    lua_newtable(L);
    scipy_push_arrays(L, 2);
    for (int i = 0; i < 4; i++) {
        lua_pushstring(L, names[i]);
        lua_rawseti(L, 3, 2 * i + 1);
        lua_getfield(L, 4, names[i]);
        lua_rawseti(L, 3, 2 * i + 2);
    }
    size_t length;
    const char *format = scipy_csr_format(&length);
    struct archive_writer *writer = archive_writer_push(L);
    if (!archive_writer_open(writer, path, "zip", compress) ||
        !archive_writer_add(writer, SCIPY_FORMAT, format, length) || !add_arrays(L, writer, 3) ||
        !archive_writer_commit(writer))
        raise_writer(L, path, writer);
    return 0;
}

static const luaL_Reg functions[] = {
    {"load_bundle", load_bundle}, {"save_bundle", save_bundle}, {"load_npz", load_npz},
    {"save_npz", save_npz},       {"save_scipy", save_scipy},   {NULL, NULL},
};

int luaopen_lkrun_core_archive(lua_State *L);
int luaopen_lkrun_core_archive(lua_State *L)
{
    luaL_newlib(L, functions);
    return 1;
}
