#include "worker/failure.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/util.h"
#include "value/codec_encode.h"
#include "worker/workplace.h"

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

static const char *likely_cause(int signal_number)
{
    return signal_number == SIGKILL   ? "; the kernel's out-of-memory killer is a usual cause"
           : signal_number == SIGSEGV ? "; invalid memory access in C code"
           : signal_number == SIGBUS
               ? "; memory for shared tensors ran out, or a mapped file shrank"
           : signal_number == SIGABRT ? "; C code called abort"
                                      : "";
}

void describe_end(int status, char *text, size_t size)
{
    if (status == STATUS_LOST)
        snprintf(text, size, "how it ended is not known, because the program ignores SIGCHLD");
    else if (WIFSIGNALED(status))
        snprintf(text, size, "SIG%s%s", sigabbrev_np(WTERMSIG(status)),
                 likely_cause(WTERMSIG(status)));
    else
        snprintf(text, size, "exit status %d", WEXITSTATUS(status));
}

void describe_task(char *text, size_t size, const struct failed_task *task)
{
    snprintf(text, size, task->is_future ? "submitted task %llu" : "task %llu",
             (unsigned long long)task->index);
}

/* How often the task was tried, or that `retries` would try it again. */
void describe_retries(char *text, size_t size, const struct pool_options *options,
                      const struct failed_task *task)
{
    if (options->retries == 0)
        snprintf(text, size, "; retries = 1 would run it again");
    else
        snprintf(text, size, ", the last of %u times it was tried", task->attempts);
}

void describe_memory(char text[FAILURE_TEXT], const struct pool_options *options,
                     const struct failed_task *task)
{
    char name[48], again[64], limit[64] = "memory than there is";
    describe_task(name, sizeof name, task);
    describe_retries(again, sizeof again, options, task);
    if (options->memory_limit)
        snprintf(limit, sizeof limit, "than its memory_limit of %zu bytes", options->memory_limit);
    snprintf(text, FAILURE_TEXT, "%s needed more %s on worker %d%s", name, limit, task->worker,
             again);
}
