/* Invariants: every object that was met has a number, from 1, and an entry in the lists NUMBERS,
 * OBJECTS, PARENTS and KEYS; the definitions and contents of those up to number `written` are in
 * the buffers. There is no recursion: an object that is reached from another one gets a number, and
 * waits for its turn. */
#include "value/carry_encode.h"

#include <string.h>
#include <lauxlib.h>

#include "base/value_text.h"
#include "sparse/sparse.h"
#include "tensor/tensor.h"
#include "value/codec_scalar.h"
#include "value/path.h"

#define ENCODER_CLASS "lkrun.carry.encoder"
#define LOGGER_CLASS  "lkrun.logger"
/* How many keys of a path are shown, counted from its end. */
#define PATH_KEYS 12

struct carry_encoder {
    lua_State *L;
    const char *where;
    const struct carry_port *port;
    struct buffer definitions, contents;
    uint32_t objects; /* met so far */
    uint32_t written; /* how many of these are in the buffers */
    int lists;        /* stack index of the first list */
};

enum list {
    NUMBERS, /* object → number */
    OBJECTS, /* number → object */
    PARENTS, /* number → that of the object where it was first met; 0: it is one of the values */
    KEYS,    /* number → its key there, the name of its upvalue, `metatable_key`, or names[i] */
    CELLS,   /* id of an upvalue → the number of its first function × 256 + its index there */
    NAMES,   /* object → its name in a module, as lua/lkrun/internal/names.lua makes it */
    SOURCES, /* set of strings: where the functions that are carried were defined */
    SCOPES,  /* set of the tables that functions have as _ENV */
    LISTS
};

/* Its address is the key, in KEYS, of an object that is the metatable of its parent. */
static const char metatable_key;

static void push_list(struct carry_encoder *e, enum list list)
{
    lua_pushvalue(e->L, e->lists + (int)list);
}

static void append(struct carry_encoder *e, struct buffer *out, const void *bytes, size_t length)
{
    if (!buffer_append(out, bytes, length))
        luaL_error(e->L, "not enough memory");
}

static void append_byte(struct carry_encoder *e, struct buffer *out, int byte)
{
    char one = (char)byte;
    append(e, out, &one, 1);
}

static void append_string(struct carry_encoder *e, struct buffer *out, int index)
{
    size_t length;
    const char *bytes = luaL_tolstring(e->L, index, &length);
    uint64_t wide = length;
    append_byte(e, out, CODEC_STRING);
    append(e, out, &wide, sizeof wide);
    append(e, out, bytes, length);
    lua_pop(e->L, 1);
}

/* ---- Errors, and the paths in them ---- */

/* Pushes the step of a path that leads from object `parent` to what it has under the key at this
 * index. */
static void push_key(struct carry_encoder *e, lua_Integer parent, int key)
{
    lua_State *L = e->L;
    char text[PATH_SIZE];
    key = lua_absindex(L, key);
    if (parent == 0) {
        lua_pushvalue(L, key);
        return;
    }
    if (lua_touserdata(L, key) == &metatable_key) {
        lua_pushliteral(L, ".metatable");
        return;
    }
    push_list(e, OBJECTS);
    if (lua_rawgeti(L, -1, parent) == LUA_TFUNCTION) {
        lua_pushfstring(L, ".upvalue %s", lua_tostring(L, key));
    } else {
        path_write(L, "", key, 1, 1, text);
        lua_pushstring(L, text);
    }
    lua_replace(L, -3);
    lua_pop(L, 1);
}

/* Pops a key, and pushes the path of what object `parent` has under that key. */
static void push_path(struct carry_encoder *e, lua_Integer parent)
{
    lua_State *L = e->L;
    push_key(e, parent, -1);
    lua_replace(L, -2);
    for (int keys = 1; parent; keys++) {
        lua_Integer object = parent;
        if (keys == PATH_KEYS) { /* leave out all keys from here to the root */
            do {
                object = parent;
                push_list(e, PARENTS);
                lua_rawgeti(L, -1, object);
                parent = lua_tointeger(L, -1);
                lua_pop(L, 2);
            } while (parent);
            lua_pushliteral(L, " ... ");
            lua_insert(L, -2);
            lua_concat(L, 2);
        }
        push_list(e, PARENTS);
        lua_rawgeti(L, -1, object);
        parent = lua_tointeger(L, -1);
        lua_pop(L, 2);
        push_list(e, KEYS);
        lua_rawgeti(L, -1, object);
        push_key(e, parent, -1);
        lua_insert(L, -4);
        lua_pop(L, 2);
        lua_concat(L, 2);
    }
}

/* Raises an error with the path of object `number`. */
static void fail(struct carry_encoder *e, lua_Integer number, const char *why)
{
    lua_State *L = e->L;
    push_list(e, KEYS);
    lua_rawgeti(L, -1, number);
    push_list(e, PARENTS);
    lua_rawgeti(L, -1, number);
    lua_Integer parent = lua_tointeger(L, -1);
    lua_pop(L, 2);
    push_path(e, parent);
    raise_error(L, e->where, "%s: %s", lua_tostring(L, -1), why);
}

static void fail_kind(struct carry_encoder *e, lua_Integer number, int index)
{
    if (lua_iscfunction(e->L, index))
        fail(e, number, "a function of C that no module has under a name cannot be carried");
    fail(e, number, lua_pushfstring(e->L, "%s cannot be carried", type_text(e->L, index)));
}

/* ---- Values ---- */

/* Returns the number of the object at this index. If it was not met before, it gets a new number,
 * and object `parent` and the key at index `key` are noted as the place where it was met. */
static uint32_t meet(struct carry_encoder *e, int index, lua_Integer parent, int key)
{
    lua_State *L = e->L;
    push_list(e, NUMBERS);
    lua_pushvalue(L, index);
    if (lua_rawget(L, -2) == LUA_TNUMBER) {
        uint32_t number = (uint32_t)lua_tointeger(L, -1);
        lua_pop(L, 2);
        return number;
    }
    lua_pop(L, 1);
    lua_Integer number = ++e->objects;
    lua_pushvalue(L, index);
    lua_pushinteger(L, number);
    lua_rawset(L, -3);
    push_list(e, OBJECTS);
    lua_pushvalue(L, index);
    lua_rawseti(L, -2, number);
    push_list(e, PARENTS);
    lua_pushinteger(L, parent);
    lua_rawseti(L, -2, number);
    push_list(e, KEYS);
    lua_pushvalue(L, key);
    lua_rawseti(L, -2, number);
    lua_pop(L, 4);
    return (uint32_t)number;
}

/* Writes the value at this index, which object `parent` has under the key at index `key`. Both
 * indices are absolute. */
static void put_value(struct carry_encoder *e, int index, lua_Integer parent, int key)
{
    char scalar[CODEC_SCALAR_MAX];
    size_t length = codec_put(e->L, index, scalar);
    if (length) {
        append(e, &e->contents, scalar, length);
    } else if (lua_type(e->L, index) == LUA_TSTRING) {
        append_string(e, &e->contents, index);
    } else {
        uint32_t number = meet(e, index, parent, key);
        append_byte(e, &e->contents, CARRY_OBJECT);
        append(e, &e->contents, &number, sizeof number);
    }
}

/* ---- Objects; each of these functions writes the object at the top of the stack ---- */

static void define_tensor(struct carry_encoder *e, lua_Integer number, const struct tensor *tensor)
{
    const char *error = "its storage cannot be carried";
    struct carried_tensor head = {.dtype = (uint8_t)tensor->dtype,
                                  .dim = (uint8_t)tensor->dim,
                                  .offset = tensor->offset,
                                  .bytes = tensor->storage->bytes};
    if (!e->port->give(e->port->context, tensor->storage, &head.handle, &error))
        fail(e, number, error);
    size_t sizes = (size_t)tensor->dim * sizeof(int64_t);
    append(e, &e->definitions, &head, sizeof head);
    append(e, &e->definitions, tensor->size, sizes);
    append(e, &e->definitions, tensor->stride, sizes);
}

static void define_sparse(struct carry_encoder *e, lua_Integer number, const struct sparse *sparse)
{
    int64_t shape[2] = {sparse->rows, sparse->columns};
    append_byte(e, &e->definitions, CARRY_SPARSE);
    append(e, &e->definitions, shape, sizeof shape);
    define_tensor(e, number, sparse->pointers);
    define_tensor(e, number, sparse->column_of);
    define_tensor(e, number, sparse->values);
}

/* Writes an object by its name, which is at the top of the stack. */
static void define_named(struct carry_encoder *e)
{
    lua_State *L = e->L;
    lua_Integer steps = (lua_Integer)lua_rawlen(L, -1) - 1;
    append_byte(e, &e->definitions, CARRY_NAMED);
    append_byte(e, &e->definitions, (int)steps);
    for (lua_Integer i = 1; i <= steps + 1; i++) {
        if (lua_rawgeti(L, -1, i) == LUA_TSTRING)
            append_string(e, &e->definitions, -1);
        else
            append_byte(e, &e->definitions, CODEC_NIL);
        lua_pop(L, 1);
    }
}

static void define_table(struct carry_encoder *e, lua_Integer number)
{
    lua_State *L = e->L;
    int table = lua_gettop(L);
    uint32_t slots[2] = {(uint32_t)lua_rawlen(L, table), 0};
    append_byte(e, &e->definitions, CARRY_TABLE);
    size_t slots_at = e->definitions.length;
    append(e, &e->definitions, slots, sizeof slots);
    uint32_t pairs = 0;
    for (lua_pushnil(L); lua_next(L, table); pairs++) {
        put_value(e, table + 1, number, table + 1);
        put_value(e, table + 2, number, table + 1);
        lua_pop(L, 1);
    }
    slots[1] = pairs > slots[0] ? pairs - slots[0] : 0;
    memcpy(e->definitions.data + slots_at, slots, sizeof slots);
    append_byte(e, &e->contents, CODEC_NIL);
    if (!lua_getmetatable(L, table)) {
        append_byte(e, &e->contents, CODEC_NIL);
        return;
    }
    lua_pushliteral(L, "__gc");
    if (lua_rawget(L, -2) != LUA_TNIL)
        fail(e, number, "a table with a finalizer (__gc) cannot be carried");
    lua_pushlightuserdata(L, (void *)&metatable_key);
    put_value(e, table + 1, number, table + 3);
    lua_settop(L, table);
}

static int append_code(lua_State *L, const void *bytes, size_t length, void *out)
{
    (void)L;
    return !buffer_append(out, bytes, length);
}

static void note_source(struct carry_encoder *e, int function, lua_Debug *about)
{
    lua_State *L = e->L;
    push_list(e, SOURCES);
    lua_pushvalue(L, function);
    lua_getinfo(L, ">Su", about);
    lua_pushstring(L, about->source);
    lua_pushboolean(L, true);
    lua_rawset(L, -3);
    lua_pop(L, 1);
}

/* Writes the upvalue on top of the stack, which is the function's _ENV. In the receiver it will be
 * the table of globals, whatever table it is here. */
static void put_scope(struct carry_encoder *e, lua_Integer number, int key)
{
    lua_State *L = e->L;
    push_list(e, SCOPES);
    lua_pushvalue(L, -2);
    lua_pushboolean(L, true);
    lua_rawset(L, -3);
    lua_pop(L, 1);
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
    put_value(e, lua_gettop(L), number, key);
    lua_pop(L, 1);
}

static void put_upvalue(struct carry_encoder *e, lua_Integer number, int function, int upvalue)
{
    lua_State *L = e->L;
    push_list(e, CELLS);
    lua_pushlightuserdata(L, lua_upvalueid(L, function, upvalue));
    lua_pushvalue(L, -1);
    if (lua_rawget(L, -3) == LUA_TNUMBER) {
        lua_Integer cell = lua_tointeger(L, -1);
        uint32_t owner = (uint32_t)(cell >> 8);
        append_byte(e, &e->contents, CARRY_SHARED_UPVALUE);
        append(e, &e->contents, &owner, sizeof owner);
        append_byte(e, &e->contents, (int)(cell & 0xFF));
        lua_settop(L, function);
        return;
    }
    lua_pop(L, 1);
    lua_pushinteger(L, number << 8 | upvalue);
    lua_rawset(L, -3);
    append_byte(e, &e->contents, CARRY_UPVALUE);
    const char *name = lua_getupvalue(L, function, upvalue);
    lua_pushstring(L, *name ? name : "without a name");
    lua_insert(L, -2);
    int value = lua_gettop(L);
    if (strcmp(name, "_ENV") == 0 && lua_istable(L, value))
        put_scope(e, number, value - 1);
    else
        put_value(e, value, number, value - 1);
    lua_settop(L, function);
}

static void define_function(struct carry_encoder *e, lua_Integer number)
{
    lua_State *L = e->L;
    int function = lua_gettop(L);
    lua_Debug about;
    note_source(e, function, &about);
    append_byte(e, &e->definitions, CARRY_FUNCTION);
    size_t length_at = e->definitions.length;
    uint64_t length = 0;
    append(e, &e->definitions, &length, sizeof length);
    if (lua_dump(L, append_code, &e->definitions, false) != 0)
        luaL_error(L, "not enough memory");
    length = e->definitions.length - length_at - sizeof length;
    memcpy(e->definitions.data + length_at, &length, sizeof length);
    for (int upvalue = 1; upvalue <= about.nups; upvalue++)
        put_upvalue(e, number, function, upvalue);
}

static void define(struct carry_encoder *e, lua_Integer number)
{
    lua_State *L = e->L;
    int top = lua_gettop(L);
    push_list(e, OBJECTS);
    lua_rawgeti(L, -1, number);
    int object = lua_gettop(L);
    const struct tensor *tensor = tensor_test(L, object);
    const struct sparse *sparse = sparse_test(L, object);
    const char *logger = luaL_testudata(L, object, LOGGER_CLASS);
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
    bool is_globals = lua_rawequal(L, object, -1);
    lua_pop(L, 1);
    push_list(e, NAMES);
    lua_pushvalue(L, object);
    bool named = lua_rawget(L, -2) == LUA_TTABLE;
    if (!named)
        lua_settop(L, object);
    if (is_globals) {
        append_byte(e, &e->definitions, CARRY_GLOBALS);
    } else if (tensor) {
        append_byte(e, &e->definitions, CARRY_TENSOR);
        define_tensor(e, number, tensor);
    } else if (sparse) {
        define_sparse(e, number, sparse);
    } else if (named) {
        define_named(e);
    } else if (logger) {
        lua_pushstring(L, logger);
        append_byte(e, &e->definitions, CARRY_LOGGER);
        append_string(e, &e->definitions, -1);
    } else if (lua_istable(L, object)) {
        define_table(e, number);
    } else if (lua_isfunction(L, object) && !lua_iscfunction(L, object)) {
        define_function(e, number);
    } else {
        fail_kind(e, number, object);
    }
    lua_settop(L, top);
}

/* ---- Everything ---- */

/* Pops a table, and writes those of its keys that are strings. Returns how many there are. */
static uint32_t put_keys(struct carry_encoder *e)
{
    lua_State *L = e->L;
    uint32_t count = 0;
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
        if (lua_type(L, -2) == LUA_TSTRING) {
            append_string(e, &e->contents, -2);
            count++;
        }
    lua_pop(L, 1);
    return count;
}

/* Writes the names of globals: the string keys of the table of globals, and of every table that a
 * function has as _ENV. Returns how many there are. */
static uint32_t put_globals(struct carry_encoder *e)
{
    lua_State *L = e->L;
    uint32_t count = 0;
    push_list(e, SCOPES);
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
    lua_pushboolean(L, true);
    lua_rawset(L, -3);
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        lua_pushvalue(L, -2);
        count += put_keys(e);
    }
    lua_pop(L, 1);
    return count;
}

static int free_encoder(lua_State *L)
{
    struct carry_encoder *e = lua_touserdata(L, 1);
    buffer_free(&e->definitions);
    buffer_free(&e->contents);
    return 0;
}

static void push_lists(struct carry_encoder *e)
{
    lua_State *L = e->L;
    e->lists = lua_gettop(L) + 1;
    for (int list = 0; list < LISTS; list++) {
        if (list != NAMES) {
            lua_newtable(L);
            continue;
        }
        lua_getglobal(L, "require");
        lua_pushliteral(L, "lkrun.internal.names");
        lua_call(L, 1, 1);
        lua_getfield(L, -1, "all");
        lua_replace(L, -2);
        lua_call(L, 0, 1);
    }
}

void carry_encode(lua_State *L, const char *where, const char *const *names, int count,
                  const struct carry_port *port, struct buffer *out)
{
    static const luaL_Reg methods[] = {{"__gc", free_encoder}, {NULL, NULL}};
    int first = lua_gettop(L) - count + 1;
    luaL_checkstack(L, 40, NULL);
    register_class(L, ENCODER_CLASS, methods);
    struct carry_encoder *e = lua_newuserdatauv(L, sizeof *e, 0);
    *e = (struct carry_encoder){.L = L, .where = where, .port = port};
    luaL_setmetatable(L, ENCODER_CLASS);
    push_lists(e);
    struct carry_head head = {.values = (uint32_t)count};
    for (int i = 0; i < count; i++) {
        lua_pushstring(L, names[i]);
        put_value(e, first + i, 0, lua_gettop(L));
        lua_pop(L, 1);
    }
    size_t length; /* bytes of the values, which come last: until then they wait on the stack */
    lua_pushlstring(L, e->contents.data, e->contents.length);
    e->contents.length = 0;
    while (e->written < e->objects)
        define(e, ++e->written);
    const char *values = lua_tolstring(L, -1, &length);
    append(e, &e->contents, values, length);
    push_list(e, SOURCES);
    head.sources = put_keys(e);
    head.globals = put_globals(e);
    head.objects = e->objects;
    append(e, out, &head, sizeof head);
    append(e, out, e->definitions.data, e->definitions.length);
    append(e, out, e->contents.data, e->contents.length);
    lua_settop(L, first + count - 1);
}
