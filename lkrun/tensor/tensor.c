/* Invariants of a tensor: every element that its shape and strides reach lies inside its storage;
 * count is the product of the sizes; the shape never changes once the tensor is made. A finalized
 * tensor has no storage and is no tensor any more. */
#include "tensor/tensor_class.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "memory/collector.h"
#include "memory/region.h"
#include "tensor/tensor_walk.h"
#include "base/util.h"

const char *const dtype_names[DTYPE_COUNT + 1] = {"f64", "f32", "i64", "i32", "u8", "bool", NULL};
const size_t dtype_sizes[DTYPE_COUNT] = {8, 4, 8, 4, 1, 1};

static const char class_key; /* the metatable in the registry: faster to find than by name */

static const luaL_Reg *const method_files[] = {
    tensor_element_methods, tensor_view_methods,   tensor_copy_methods, tensor_arith_methods,
    tensor_math_methods,    tensor_reduce_methods, tensor_sort_methods, tensor_index_methods,
    tensor_compare_methods, tensor_print_methods,  linalg_methods,
};

static int finalize(lua_State *L)
{
    struct tensor *tensor = tensor_test(L, 1);
    if (tensor) {
        storage_release(tensor->storage);
        tensor->storage = NULL;
    }
    return 0;
}

static bool is_metamethod(const char *name)
{
    return name[0] == '_' && name[1] == '_';
}

/* Metamethods go into the metatable, methods into the table that __index looks in: its upvalue. */
static void push_class(lua_State *L)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &class_key) == LUA_TTABLE)
        return;
    lua_pop(L, 1);
    luaL_newmetatable(L, TENSOR_CLASS);
    lua_newtable(L);
    for (size_t file = 0; file < sizeof method_files / sizeof *method_files; file++) {
        for (const luaL_Reg *method = method_files[file]; method->name; method++) {
            lua_pushvalue(L, -1);
            lua_pushcclosure(L, method->func, 1);
            lua_setfield(L, is_metamethod(method->name) ? -3 : -2, method->name);
        }
    }
    lua_pop(L, 1);
    lua_pushcfunction(L, finalize);
    lua_setfield(L, -2, "__gc");
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &class_key);
}

struct tensor *tensor_test(lua_State *L, int index)
{
    struct tensor *tensor = lua_touserdata(L, index);
    if (!tensor || !lua_getmetatable(L, index))
        return NULL;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &class_key);
    bool same = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return same && tensor->storage ? tensor : NULL;
}

struct tensor *tensor_check(lua_State *L, int index)
{
    struct tensor *tensor = tensor_test(L, index);
    if (!tensor)
        luaL_typeerror(L, index, TENSOR_CLASS);
    return tensor;
}

/* Bytes of storage that this process made and has not freed: a worker's own, not the model's. */
static double own_bytes(void)
{
    static _Thread_local pid_t process;
    static _Thread_local size_t inherited;
    pid_t now = getpid();
    size_t live = storage_live_bytes();
    if (process != now) {
        inherited = process ? live : 0;
        process = now;
    }
    return live > inherited ? (double)(live - inherited) : 0;
}

/* Where workers live only the young are collected, and what two collections have seen is old. A
 * result is in the loop's hands while the next one comes, so there is one collection for two of
 * them, or they would all grow old. Old garbage is found by collecting whole, which unshares the
 * heap: that is due when tensors have grown by as much. */
static void press_young(lua_State *L, size_t bytes)
{
    static _Thread_local double since; /* bytes since the last collection */
    static _Thread_local double whole; /* own bytes after the last whole one */
    double own = own_bytes(), heap = lua_gc(L, LUA_GCCOUNT) * 1024.0;
    since += (double)bytes;
    if (since < fmax(32 << 20, 2.0 * (double)bytes))
        return;
    since = 0;
    if (own > 2 * whole + fmax(fmin(256 << 20, (double)region_use().size / 4), heap)) {
        lua_gc(L, LUA_GCCOLLECT);
        whole = own_bytes();
    } else {
        lua_gc(L, LUA_GCSTEP, 0);
    }
}

/* The collector sees a tensor as a hundred bytes. So that garbage is found before memory runs out,
 * it is told to go through its heap once for every `budget` bytes that tensors take: half of what
 * they hold already, a quarter of its own heap, 32 MiB, whichever is most. If all that freed
 * nothing, it collects the young, whatever it waits for itself: Lua 5.4.4, told to collect whole,
 * may then wait until its heap is as large again as it was long before. (Not more often: what two
 * such collections have seen is old, and garbage that is old is found late.) */
void tensor_press_collector(lua_State *L, size_t bytes)
{
    static _Thread_local double owed, fruitless; /* KiB of work */
    static _Thread_local double expected;        /* own bytes if nothing is freed */
    if (bytes < 4096)
        return;
    if (collector_is_held(L)) {
        if (lua_gc(L, LUA_GCISRUNNING))
            press_young(L, bytes);
        return;
    }
    double heap = lua_gc(L, LUA_GCCOUNT), own = own_bytes();
    double share = (double)bytes / fmax(fmax(own / 2, heap * 1024 / 4), 32 << 20) * heap;
    fruitless = own < expected ? 0 : fruitless + share;
    expected = own + (double)bytes;
    owed += share;
    if (owed < 8 || !lua_gc(L, LUA_GCISRUNNING))
        return;
    int step = (int)fmin(owed, 2 * heap);
    owed = 0;
    lua_gc(L, LUA_GCSTEP, step);
    if (fruitless > heap) {
        fruitless = 0;
        lua_gc(L, LUA_GCSTEP, 0);
    }
}

/* The userdata, without storage yet; its strides row-major. */
static struct tensor *push_header(lua_State *L, enum dtype dtype, int dim, const int64_t *size)
{
    size_t room = (size_t)dim * sizeof(int64_t);
    struct tensor *tensor = lua_newuserdatauv(L, sizeof *tensor + 2 * room, 0);
    *tensor = (struct tensor){
        .dtype = dtype, .dim = dim, .count = 1, .size = tensor->room, .stride = tensor->room + dim};
    if (dim)
        memcpy(tensor->size, size, room);
    int64_t reach = 1;
    for (int d = dim - 1; d >= 0; d--) {
        tensor->stride[d] = reach;
        if (size[d] < 0 || (size[d] && __builtin_mul_overflow(reach, size[d], &reach)))
            raise_error(L, "tensor", "no tensor can have the shape %s", shape_text(dim, size));
        tensor->count *= size[d];
    }
    if (reach > PTRDIFF_MAX / (int64_t)sizeof(double))
        raise_error(L, "tensor", "no tensor can have the shape %s", shape_text(dim, size));
    push_class(L);
    lua_setmetatable(L, -2);
    return tensor;
}

struct tensor *tensor_new(lua_State *L, enum dtype dtype, int dim, const int64_t *size, bool zeroed)
{
    struct tensor *tensor = push_header(L, dtype, dim, size);
    size_t bytes = (size_t)tensor->count * dtype_sizes[dtype];
    tensor_press_collector(L, bytes);
    const char *error = NULL;
    tensor->storage = storage_new(bytes, zeroed, &error);
    if (!tensor->storage) {
        lua_gc(L, LUA_GCCOLLECT);
        tensor->storage = storage_new(bytes, zeroed, &error);
    }
    if (!tensor->storage)
        raise_error(L, "tensor", "no room for %s of %s (%zu bytes): %s", dtype_names[dtype],
                    shape_text(dim, size), bytes, error);
    return tensor;
}

struct tensor *tensor_view(lua_State *L, struct storage *storage, enum dtype dtype, int64_t offset,
                           int dim, const int64_t *size, const int64_t *stride)
{
    struct tensor *tensor = push_header(L, dtype, dim, size);
    tensor->offset = offset;
    if (stride && dim)
        memcpy(tensor->stride, stride, (size_t)dim * sizeof *stride);
    storage_retain(storage);
    tensor->storage = storage;
    return tensor;
}

bool tensor_is_contiguous(const struct tensor *tensor)
{
    if (tensor->count == 0)
        return true;
    int64_t reach = 1;
    for (int d = tensor->dim - 1; d >= 0; d--) {
        if (tensor->size[d] != 1 && tensor->stride[d] != reach)
            return false;
        reach *= tensor->size[d];
    }
    return true;
}

void tensor_copy_to(const struct tensor *tensor, void *bytes)
{
    size_t element = dtype_sizes[tensor->dtype];
    char *to = bytes;
    struct walk walk;
    const struct tensor *operands[] = {tensor};
    for (walk_begin(&walk, 1, operands, WALK_ROW_MAJOR); walk.rows; walk_next(&walk)) {
        copy_row(element, walk.length, to, (int64_t)element, walk.at[0], walk.step[0]);
        to += (size_t)walk.length * element;
    }
}

void tensor_check_writable(lua_State *L, const struct tensor *tensor, const char *where)
{
    if (storage_may_write(tensor->storage))
        return;
    if (tensor->storage->read_only)
        raise_error(L, where,
                    "this tensor was loaded from a file, and is read-only; "
                    "write to tensor:clone(), or load it with copy = true");
    raise_error(L, where,
                "this tensor is read-only here; it belongs to the model: "
                "pass it in `writable`, or write to tensor:clone()");
}

static int is_tensor(lua_State *L)
{
    luaL_checkany(L, 1);
    lua_pushboolean(L, tensor_test(L, 1) != NULL);
    return 1;
}

static int bytes(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)storage_live_bytes());
    return 1;
}

static const luaL_Reg *const function_files[] = {
    tensor_create_functions,
    tensor_compare_functions,
};

int luaopen_lkrun_core_tensor(lua_State *L);
int luaopen_lkrun_core_tensor(lua_State *L)
{
    push_class(L);
    lua_newtable(L);
    for (size_t file = 0; file < sizeof function_files / sizeof *function_files; file++)
        luaL_setfuncs(L, function_files[file], 0);
    lua_pushcfunction(L, is_tensor);
    lua_setfield(L, -2, "is");
    lua_pushcfunction(L, bytes);
    lua_setfield(L, -2, "bytes");
    return 1;
}
