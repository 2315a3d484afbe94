/* Invariant: all objects are made, in the order of their numbers, before any of them is filled, so
 * that whatever refers to an object finds it, in cycles too. */
#include "value/carry_decode.h"

#include <string.h>
#include <lauxlib.h>

#include "base/util.h"
#include "memory/storage.h"
#include "sparse/sparse.h"
#include "tensor/tensor.h"
#include "value/codec_scalar.h"

struct carry_decoder {
    lua_State *L;
    const struct carry_port *port;
    const char *at, *end;
    int objects; /* stack index of the table of objects by number */
};

static const char *take(struct carry_decoder *d, size_t length)
{
    if ((size_t)(d->end - d->at) < length)
        raise_error(d->L, "worker", "what it was given of func and model is cut off");
    const char *bytes = d->at;
    d->at += length;
    return bytes;
}

static unsigned take_byte(struct carry_decoder *d)
{
    return (unsigned char)*take(d, 1);
}

static uint32_t take_u32(struct carry_decoder *d)
{
    uint32_t number;
    memcpy(&number, take(d, sizeof number), sizeof number);
    return number;
}

/* Pushes the next value. */
static void take_value(struct carry_decoder *d)
{
    size_t length = codec_get(d->L, d->at, (size_t)(d->end - d->at));
    if (length) {
        d->at += length;
        return;
    }
    (void)take_byte(d); /* CARRY_OBJECT */
    lua_rawgeti(d->L, d->objects, take_u32(d));
}

/* ---- Objects; each of these functions pushes one ---- */

static void make_tensor(struct carry_decoder *d)
{
    struct carried_tensor head;
    int64_t shape[2 * TENSOR_MAX_DIM];
    const char *error = "no storage";
    memcpy(&head, take(d, sizeof head), sizeof head);
    size_t sizes = head.dim * sizeof shape[0];
    memcpy(shape, take(d, 2 * sizes), 2 * sizes);
    struct storage *storage = d->port->take(d->port->context, head.handle, head.bytes, &error);
    if (!storage)
        raise_error(d->L, "worker", "a tensor of func or model: %s", error);
    tensor_view(d->L, storage, (enum dtype)head.dtype, head.offset, head.dim, shape,
                shape + head.dim);
    storage_release(storage);
}

static void make_sparse(struct carry_decoder *d)
{
    int64_t shape[2];
    int first = lua_gettop(d->L) + 1;
    memcpy(shape, take(d, sizeof shape), sizeof shape);
    for (int part = SPARSE_POINTERS; part <= SPARSE_VALUES; part++)
        make_tensor(d);
    sparse_push(d->L, shape[0], shape[1], first, first + 1, first + 2);
    lua_replace(d->L, first);
    lua_settop(d->L, first);
}

static void require(lua_State *L, const char *module)
{
    lua_getglobal(L, "require");
    lua_pushstring(L, module);
    if (lua_pcall(L, 1, 1, 0) != LUA_OK)
        raise_error(L, "worker", "func or model needs module '%s', which a worker cannot load: %s",
                    module, lua_tostring(L, -1));
}

/* follow(object, step) → what the object has under the key `step`; its metatable where that is nil
 */
static int follow(lua_State *L)
{
    if (!lua_isnil(L, 2))
        lua_gettable(L, 1);
    else if (!lua_getmetatable(L, 1))
        lua_pushnil(L);
    return 1;
}

static void make_named(struct carry_decoder *d)
{
    lua_State *L = d->L;
    unsigned steps = take_byte(d);
    take_value(d); /* the module */
    const char *module = lua_tostring(L, -1);
    require(L, module);
    lua_pushvalue(L, -2); /* the name so far */
    lua_insert(L, -2);
    while (steps--) {
        take_value(d);
        lua_pushfstring(L, "%s.%s", lua_tostring(L, -3),
                        lua_isnil(L, -1) ? "metatable" : lua_tostring(L, -1));
        lua_replace(L, -4);
        lua_pushcfunction(L, follow);
        lua_insert(L, -3);
        if (lua_pcall(L, 2, 1, 0) != LUA_OK || lua_isnil(L, -1))
            raise_error(L, "worker",
                        "func or model has %s, which is not there in a worker, where modules are "
                        "loaded anew; keep it in a local, so that it is carried",
                        lua_tostring(L, -2));
    }
    lua_replace(L, -3);
    lua_pop(L, 1);
}

static void make_logger(struct carry_decoder *d)
{
    require(d->L, "lkrun.core.log");
    lua_getfield(d->L, -1, "get");
    lua_replace(d->L, -2);
    take_value(d);
    lua_call(d->L, 1, 1);
}

static void make_function(struct carry_decoder *d)
{
    uint64_t length;
    memcpy(&length, take(d, sizeof length), sizeof length);
    if (luaL_loadbufferx(d->L, take(d, length), length, "carried", "b") != LUA_OK)
        lua_error(d->L);
}

static void make(struct carry_decoder *d, int kind)
{
    switch (kind) {
    case CARRY_TABLE: {
        uint32_t array = take_u32(d), hash = take_u32(d);
        lua_createtable(d->L, (int)array, (int)hash);
        break;
    }
    case CARRY_FUNCTION:
        make_function(d);
        break;
    case CARRY_TENSOR:
        make_tensor(d);
        break;
    case CARRY_SPARSE:
        make_sparse(d);
        break;
    case CARRY_LOGGER:
        make_logger(d);
        break;
    case CARRY_NAMED:
        make_named(d);
        break;
    default:
        lua_rawgeti(d->L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
    }
}

/* ---- Contents of the object at the top of the stack ---- */

static void fill_table(struct carry_decoder *d)
{
    lua_State *L = d->L;
    int table = lua_gettop(L);
    for (take_value(d); !lua_isnil(L, -1); take_value(d)) {
        take_value(d);
        lua_rawset(L, table);
    }
    take_value(d);
    if (lua_istable(L, -1))
        lua_setmetatable(L, table);
    lua_settop(L, table);
}

static void fill_function(struct carry_decoder *d)
{
    lua_State *L = d->L;
    lua_Debug about;
    int function = lua_gettop(L);
    lua_pushvalue(L, function);
    lua_getinfo(L, ">u", &about);
    for (int upvalue = 1; upvalue <= about.nups; upvalue++) {
        if (take_byte(d) == CARRY_UPVALUE) {
            take_value(d);
            lua_setupvalue(L, function, upvalue);
            continue;
        }
        lua_rawgeti(L, d->objects, take_u32(d));
        lua_upvaluejoin(L, function, upvalue, -1, (int)take_byte(d));
        lua_pop(L, 1);
    }
}

/* ---- Globals that the receiver does not have ---- */

/* __index of the table of globals; its upvalues are the sources of carried functions and the names
 * of the sender's globals. Raises where a carried function reads one of the sender's globals; for
 * everybody else a missing global is nil, as usual. */
static int miss_global(lua_State *L)
{
    lua_Debug asking;
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(2)) == LUA_TNIL || !lua_getstack(L, 1, &asking) ||
        !lua_getinfo(L, "S", &asking))
        return 0;
    lua_pushstring(L, asking.source);
    if (lua_rawget(L, lua_upvalueindex(1)) == LUA_TNIL)
        return 0;
    return luaL_error(L,
                      "lkrun: worker: the global '%s' belongs to the program and is not there in a "
                      "worker; make it a local, which is carried along, or require it from a "
                      "module",
                      lua_tostring(L, 2));
}

/* Pushes a table that is the set of the next `count` strings. */
static void take_strings(struct carry_decoder *d, uint32_t count)
{
    lua_newtable(d->L);
    while (count--) {
        take_value(d);
        lua_pushboolean(d->L, true);
        lua_rawset(d->L, -3);
    }
}

static void watch_globals(struct carry_decoder *d, const struct carry_head *head)
{
    lua_State *L = d->L;
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
    take_strings(d, head->sources);
    take_strings(d, head->globals);
    if (lua_getmetatable(L, -3)) { /* set by a module, which may rely on it */
        lua_pop(L, 4);
        return;
    }
    lua_pushcclosure(L, miss_global, 2);
    lua_createtable(L, 0, 1);
    lua_insert(L, -2);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
}

int carry_decode(lua_State *L, const char *bytes, size_t length, const struct carry_port *port)
{
    struct carry_decoder d = {.L = L, .port = port, .at = bytes, .end = bytes + length};
    struct carry_head head;
    luaL_checkstack(L, 20, NULL);
    memcpy(&head, take(&d, sizeof head), sizeof head);
    luaL_checkstack(L, (int)head.values + 20, NULL);
    lua_createtable(L, (int)head.objects, 0);
    d.objects = lua_gettop(L);
    unsigned char *kinds = lua_newuserdatauv(L, head.objects + 1, 0);
    for (uint32_t number = 1; number <= head.objects; number++) {
        kinds[number] = (unsigned char)take_byte(&d);
        make(&d, kinds[number]);
        lua_rawseti(L, d.objects, number);
    }
    for (uint32_t number = 1; number <= head.objects; number++) {
        lua_rawgeti(L, d.objects, number);
        if (kinds[number] == CARRY_TABLE)
            fill_table(&d);
        else if (kinds[number] == CARRY_FUNCTION)
            fill_function(&d);
        lua_pop(L, 1);
    }
    lua_pop(L, 1); /* kinds */
    for (uint32_t i = 0; i < head.values; i++)
        take_value(&d);
    watch_globals(&d, &head);
    lua_remove(L, d.objects);
    return (int)head.values;
}
