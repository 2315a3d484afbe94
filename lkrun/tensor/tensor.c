/* Invariants of a tensor: every element that its shape and strides reach lies inside its storage;
 * count is the product of the sizes; the shape never changes once the tensor is made. A finalized
 * tensor has no storage, and tensor_test no longer takes it for a tensor. */
#include "tensor/tensor.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <lauxlib.h>

#include "base/util.h"
#include "memory/collector.h"
#include "memory/region.h"
#include "memory/storage.h"
#include "state/embedded.h"

const char *const dtype_names[DTYPE_COUNT + 1] = {"f64", "f32", "i64", "i32", "u8", "bool", NULL};
const size_t dtype_sizes[DTYPE_COUNT] = {8, 4, 8, 4, 1, 1};

/* Its address is the metatable's key in the registry, which is faster to look up than a name. */
static const char class_key;

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

/* Pushes the metatable. Metamethods are in the metatable itself, methods in a second table,
 * which is the upvalue of all of them: __index looks methods up there. */
static void push_class(lua_State *L)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &class_key) == LUA_TTABLE)
        return;
    lua_pop(L, 1);
    luaL_newmetatable(L, TENSOR_CLASS);
    lua_newtable(L);
    for (const luaL_Reg *const *methods = embedded_tensor_methods; *methods; methods++) {
        for (const luaL_Reg *method = *methods; method->name; method++) {
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

/* Bytes of storage that this process made and has not freed. In a worker, the model it inherited
 * from the program does not count. */
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

/* While workers share the heap, the collector is generational and collects young objects only: an
 * object that two collections have seen is old. The loop holds one result while the next one
 * arrives, so a collection is due only for every two results; otherwise all of them would grow old.
 * Old garbage is found only by a whole collection, which writes into every object, so that all
 * pages shared with workers are copied: such a collection is due only when tensors have grown by at
 * least the size of Lua's heap. */
static void press_young(lua_State *L, size_t bytes)
{
    static _Thread_local double bytes_since_collection;
    static _Thread_local double own_after_whole_collection;
    double own = own_bytes();
    bytes_since_collection += (double)bytes;
    if (bytes_since_collection < fmax(32 << 20, 2.0 * (double)bytes))
        return;
    double heap = lua_gc(L, LUA_GCCOUNT) * 1024.0;
    double growth_allowed = fmax(fmin(256 << 20, (double)region_use().size / 4), heap);
    bytes_since_collection = 0;
    if (own > 2 * own_after_whole_collection + growth_allowed) {
        lua_gc(L, LUA_GCCOLLECT);
        own_after_whole_collection = own_bytes();
    } else {
        lua_gc(L, LUA_GCSTEP, 0);
    }
}

/* Lua's collector sees a tensor as a hundred bytes. So that garbage is found before memory runs
 * out, the collector is told to go through its heap once for every so many bytes of new tensors:
 * half of what tensors hold already, a quarter of Lua's own heap, or 32 MiB, whichever is most.
 * If a whole round freed nothing, a collection of the young objects is forced, because Lua 5.4.4
 * may otherwise wait until its heap has grown to twice the size it had long before. (It is not
 * forced more often: what two such collections have seen is old, and old garbage is found late.) */
void tensor_press_collector(lua_State *L, size_t bytes)
{
    /* KiB of work for the collector: not yet asked for, and asked for since something was freed. */
    static _Thread_local double work_owed, work_in_vain;
    static _Thread_local double own_if_nothing_freed;
    if (bytes < 4096)
        return;
    if (collector_is_held(L)) {
        if (lua_gc(L, LUA_GCISRUNNING))
            press_young(L, bytes);
        return;
    }
    double heap = lua_gc(L, LUA_GCCOUNT), own = own_bytes();
    double share = (double)bytes / fmax(fmax(own / 2, heap * 1024 / 4), 32 << 20) * heap;
    work_in_vain = own < own_if_nothing_freed ? 0 : work_in_vain + share;
    own_if_nothing_freed = own + (double)bytes;
    work_owed += share;
    if (work_owed < 8 || !lua_gc(L, LUA_GCISRUNNING))
        return;
    int step = (int)fmin(work_owed, 2 * heap);
    work_owed = 0;
    lua_gc(L, LUA_GCSTEP, step);
    if (work_in_vain > heap) {
        work_in_vain = 0;
        lua_gc(L, LUA_GCSTEP, 0);
    }
}

const char *shape_text(int dim, const int64_t *size)
{
    static _Thread_local char texts[2][TENSOR_MAX_DIM * 21 + 3];
    static _Thread_local int used;
    char *text = texts[used ^= 1];
    size_t room = sizeof texts[0];
    int length = snprintf(text, room, "[");
    for (int d = 0; d < dim; d++)
        length += snprintf(text + length, room - (size_t)length, "%s%lld", d ? ", " : "",
                           (long long)size[d]);
    snprintf(text + length, room - (size_t)length, "]");
    return text;
}

/* Pushes a tensor with row-major strides that has no storage yet. */
static struct tensor *push_header(lua_State *L, enum dtype dtype, int dim, const int64_t *size)
{
    size_t room = (size_t)dim * sizeof(int64_t);
    struct tensor *tensor = lua_newuserdatauv(L, sizeof *tensor + 2 * room, 0);
    *tensor = (struct tensor){
        .dtype = dtype, .dim = dim, .count = 1, .size = tensor->room, .stride = tensor->room + dim};
    if (dim)
        memcpy(tensor->size, size, room);
    /* Sizes of 0 are left out of `reach`, so that the strides of an empty tensor cannot overflow
     * either. */
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
        /* Tensors that nothing refers to any more may hold the memory that is lacking. */
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

const luaL_Reg tensor_functions[] = {
    {"is", is_tensor},
    {"bytes", bytes},
    {NULL, NULL},
};

int luaopen_lkrun_core_tensor(lua_State *L);
int luaopen_lkrun_core_tensor(lua_State *L)
{
    push_class(L);
    lua_newtable(L);
    for (const luaL_Reg *const *functions = embedded_tensor_functions; *functions; functions++)
        luaL_setfuncs(L, *functions, 0);
    return 1;
}
