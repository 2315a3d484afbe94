/* Running one task: the same in a worker and in place. Everything that can raise happens under one
 * protected call, so that no task leaves anything on the stack or in the stream. A worker runs one
 * task after the other in the same call for as long as none fails. */
#include "worker/task.h"

#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "machine/signals.h"
#include "memory/mapping.h"
#include "state/error_text.h"
#include "value/codec_decode.h"
#include "value/codec_encode.h"
#include "value/codec_scalar.h"
#include "worker/failure.h"

#include <lauxlib.h>

void task_call(lua_State *L, const struct task *task)
{
    lua_settop(L, TASK_MODEL);
    lua_pushvalue(L, TASK_FUNC);
    lua_pushvalue(L, TASK_MODEL);
    int count = 1;
    /* A task that is one scalar needs no decoder. */
    if (task->length > CODEC_SCALAR_MAX ||
        codec_get(L, task->bytes, task->length) != task->length) {
        lua_settop(L, TASK_MODEL + 2); /* codec_get may have pushed something */
        count = codec_decode(L, task->bytes, task->length, task->port);
        if (count < 0)
            lua_error(L);
    }
    lua_call(L, 1 + count, LUA_MULTRET);
}

void task_encode(lua_State *L, struct task *task)
{
    if (!codec_encode(L, TASK_MODEL + 1, lua_gettop(L) - TASK_MODEL, "result", task->port,
                      task->out))
        lua_error(L);
}

/* Turns an error value into {message =, where =, traceback =, value =}. `where` is the line of the
 * program that raised: the messages of lkrun's own functions do not have it, and Lua puts a
 * position only before errors that are strings. */
static int handle_error(lua_State *L)
{
    lua_createtable(L, 0, 4);
    const char *message = push_error_text(L, 1);
    /* An interruption of a task that runs in place is meant for the program: it is raised there. */
    signal_rethrow(message);
    bool has_place = lua_isstring(L, 1) && strncmp(message, "lkrun: ", 7) != 0;
    lua_setfield(L, 2, "message");
    if (!has_place && push_program_position(L, true))
        lua_setfield(L, 2, "where");
    luaL_traceback(L, L, lua_tostring(L, -1), 1);
    lua_setfield(L, 2, "traceback");
    if (lua_type(L, 1) != LUA_TSTRING) {
        lua_pushvalue(L, 1);
        lua_setfield(L, 2, "value");
    }
    return 1;
}

void task_push_handler(lua_State *L)
{
    lua_pushcfunction(L, handle_error);
}

static int encode_error(lua_State *L)
{
    struct task *task = lua_touserdata(L, 2);
    if (lua_type(L, 1) != LUA_TTABLE) { /* handle_error had no memory, or raised an error itself */
        lua_createtable(L, 0, 1);
        push_error_text(L, 1);
        lua_setfield(L, -2, "message");
        lua_replace(L, 1);
    }
    if (!codec_encode(L, 1, 1, "error", task->port, task->out)) {
        lua_pushnil(L); /* the value can't be sent; its text can */
        lua_setfield(L, 1, "value");
        if (!codec_encode(L, 1, 1, "error", NULL, task->out))
            return lua_error(L);
    }
    return 0;
}

/* A mapped file lost data while the task ran, and the task read zeros instead: its result is
 * worthless, and an error that it raised is not the cause. So the loss becomes the error. */
static int encode_loss(lua_State *L)
{
    char problem[MAPPING_PROBLEM_SIZE];
    mapping_describe_loss(problem);
    signal_forget_loss();
    lua_pushstring(L, problem);
    lua_replace(L, 1);
    return encode_error(L);
}

void task_check(lua_State *L, const struct task *task)
{
    if (mapping_losses() == task->losses)
        return;
    lua_pushnil(L);
    lua_error(L);
}

/* Describing the task's error raised another error, which is on top: the cause may be a hook that
 * raises, or a metatable of strings that does. This message is made without either. */
static void tell_second_error(lua_State *L, int status, struct task *task)
{
    task->out->length = 0; /* an empty error: the receiver says "out of memory" */
    if (status != LUA_ERRMEM) {
        lua_Hook hook = lua_gethook(L);
        int mask = lua_gethookmask(L), count = lua_gethookcount(L);
        const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "no text";
        char message[300];
        snprintf(message, sizeof message,
                 "an error that raised another one while it was described: %s", text);
        struct failure failure = {.message = message, .reason = "error", .status = -1};
        lua_sethook(L, NULL, 0, 0);
        if (!failure_encode(L, &failure, task->out))
            task->out->length = 0;
        lua_sethook(L, hook, mask, count);
    }
    lua_pop(L, 1);
}

void task_fail(lua_State *L, int status, struct task *task)
{
    task->out->length = 0;
    if (status == LUA_ERRMEM) {
        task->out_of_memory = true;
        lua_pop(L, 1);
        return;
    }
    lua_pushcfunction(L, mapping_losses() != task->losses ? encode_loss : encode_error);
    lua_insert(L, -2);
    lua_pushlightuserdata(L, task);
    status = lua_pcall(L, 2, 0, 0);
    if (status != LUA_OK)
        tell_second_error(L, status, task);
}
