/* Running one task: the same in a worker and in place. Everything that can raise happens under one
 * protected call, so that no task leaves anything on the stack or in the stream. */
#include "pool.h"

#include <lauxlib.h>

#include "mapping.h"
#include "signals.h"

/* What task_prepare left on the stack, from its first index on. */
enum { HANDLER, GENERAL, FUNC, MODEL };

/* run_general(task): any task, any results. */
static int run_general(lua_State *L)
{
    struct task *task = lua_touserdata(L, 1);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushvalue(L, lua_upvalueindex(2));
    int count = codec_decode(L, task->bytes, task->length, task->port);
    if (count < 0)
        return lua_error(L);
    lua_call(L, 1 + count, LUA_MULTRET);
    if (!codec_encode(L, 2, lua_gettop(L) - 1, "result", task->port, task->out))
        return lua_error(L);
    return 0;
}

/* encode_results(results…, task) */
static int encode_results(lua_State *L)
{
    struct task *task = lua_touserdata(L, -1);
    lua_pop(L, 1);
    if (!codec_encode(L, 1, lua_gettop(L), "result", task->port, task->out))
        return lua_error(L);
    return 0;
}

/* A task that is one scalar goes to func at once, and a result that is one comes back so. Gives the
 * status of the call; *handled says whether the task was a scalar. */
static int run_scalar(lua_State *L, int prepared, struct task *task, bool *handled)
{
    int top = lua_gettop(L);
    lua_pushvalue(L, prepared + FUNC);
    lua_pushvalue(L, prepared + MODEL);
    *handled =
        task->length <= CODEC_SCALAR_MAX && codec_get(L, task->bytes, task->length) == task->length;
    if (!*handled) {
        lua_settop(L, top);
        return LUA_OK;
    }
    int status = lua_pcall(L, 2, LUA_MULTRET, prepared + HANDLER);
    if (status != LUA_OK)
        return status;
    if (lua_gettop(L) == top + 1 && buffer_reserve(task->out, CODEC_SCALAR_MAX)) {
        size_t length = codec_put(L, top + 1, task->out->data);
        if (length) {
            task->out->length = length;
            lua_settop(L, top);
            return LUA_OK;
        }
    }
    if (!lua_checkstack(L, 2)) {
        lua_settop(L, top);
        lua_pushliteral(L, "too many results");
        return LUA_ERRRUN;
    }
    lua_pushcfunction(L, encode_results);
    lua_insert(L, top + 1);
    lua_pushlightuserdata(L, task);
    return lua_pcall(L, lua_gettop(L) - top - 1, 0, prepared + HANDLER);
}

/* The text of an error value: an address would tell nobody anything. */
static const char *push_text(lua_State *L, int index)
{
    bool tells = luaL_getmetafield(L, index, "__tostring") != LUA_TNIL;
    if (tells)
        lua_pop(L, 1);
    if (tells || lua_isstring(L, index))
        return luaL_tolstring(L, index, NULL);
    return lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, index));
}

/* Turns an error value into {message =, traceback =, value =}. */
static int handle_error(lua_State *L)
{
    lua_createtable(L, 0, 4);
    signal_rethrow(push_text(L, 1)); /* in place: it is the program that was meant */
    lua_setfield(L, 2, "message");
    luaL_traceback(L, L, lua_tostring(L, -1), 1);
    lua_setfield(L, 2, "traceback");
    if (lua_type(L, 1) != LUA_TSTRING) {
        lua_pushvalue(L, 1);
        lua_setfield(L, 2, "value");
    }
    return 1;
}

void task_prepare(lua_State *L)
{
    int func = lua_gettop(L) - 1;
    lua_pushcfunction(L, handle_error);
    lua_insert(L, func);
    lua_pushvalue(L, func + 1);
    lua_pushvalue(L, func + 2);
    lua_pushcclosure(L, run_general, 2);
    lua_insert(L, func + 1);
}

static int encode_error(lua_State *L)
{
    struct task *task = lua_touserdata(L, 2);
    if (lua_type(L, 1) != LUA_TTABLE) { /* no memory for the handler, or it failed */
        lua_createtable(L, 0, 1);
        push_text(L, 1);
        lua_setfield(L, -2, "message");
        lua_replace(L, 1);
    }
    task->out->length = 0;
    if (!codec_encode(L, 1, 1, "error", task->port, task->out)) {
        lua_pushnil(L); /* the value can't be sent; its text can */
        lua_setfield(L, 1, "value");
        if (!codec_encode(L, 1, 1, "error", NULL, task->out))
            return lua_error(L);
    }
    return 0;
}

/* The stream of the task that runs in this thread: tasks nest where an invoker works in place. */
static _Thread_local struct random_stream *running;

/* What was computed with zeros in place of a file's lost data is no result, and an error that they
 * led to is not the cause. */
static int encode_loss(lua_State *L)
{
    char problem[MAPPING_PROBLEM_SIZE];
    mapping_describe_loss(problem);
    signal_forget_loss();
    lua_pushstring(L, problem);
    lua_replace(L, 1);
    return encode_error(L);
}

enum result_kind task_run(lua_State *L, int prepared, struct task *task)
{
    struct random_stream stream;
    random_open(&stream, task->seed, task->ordinal, task->index);
    struct random_stream *outer = running;
    uint64_t start = stream.counter[0];
    random_use(running = &stream);
    unsigned losses = mapping_losses();
    enum result_kind kind = RESULT_VALUES;
    bool handled;
    int result = run_scalar(L, prepared, task, &handled);
    if (!handled) {
        lua_pushvalue(L, prepared + GENERAL);
        lua_pushlightuserdata(L, task);
        result = lua_pcall(L, 1, 0, prepared + HANDLER);
    }
    bool lost = mapping_losses() != losses;
    if (lost && result == LUA_OK) {
        lua_pushnil(L);
        result = LUA_ERRRUN;
    }
    if (result == LUA_ERRMEM) {
        kind = RESULT_ERROR;
        task->out_of_memory = true;
        task->out->length = 0;
        lua_pop(L, 1);
    } else if (result != LUA_OK) {
        kind = RESULT_ERROR;
        lua_pushcfunction(L, lost ? encode_loss : encode_error);
        lua_insert(L, -2);
        lua_pushlightuserdata(L, task);
        if (lua_pcall(L, 2, 0, 0) != LUA_OK) {
            task->out->length = 0; /* an empty error: the receiver says "out of memory" */
            lua_pop(L, 1);
        }
    }
    task->drew = stream.counter[0] != start;
    random_use(running = outer);
    return kind;
}

static int encode_failure(lua_State *L)
{
    const struct failure *failure = lua_touserdata(L, 1);
    struct buffer *out = lua_touserdata(L, 2);
    lua_createtable(L, 0, 4);
    lua_pushstring(L, failure->message);
    lua_setfield(L, 3, "message");
    lua_pushstring(L, failure->reason);
    lua_setfield(L, 3, "reason");
    if (failure->signal) {
        lua_pushinteger(L, failure->signal);
        lua_setfield(L, 3, "signal");
    }
    if (failure->status >= 0) {
        lua_pushinteger(L, failure->status);
        lua_setfield(L, 3, "status");
    }
    lua_pushboolean(L, codec_encode(L, 3, 1, "error", NULL, out));
    return 1;
}

bool failure_encode(lua_State *L, const struct failure *failure, struct buffer *out)
{
    lua_pushcfunction(L, encode_failure);
    lua_pushlightuserdata(L, (void *)failure);
    lua_pushlightuserdata(L, out);
    bool encoded = lua_pcall(L, 2, 1, 0) == LUA_OK && lua_toboolean(L, -1);
    lua_pop(L, 1);
    return encoded;
}
