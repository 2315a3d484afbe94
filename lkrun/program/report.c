#include "program/report.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <lauxlib.h>

#include "state/error_text.h"
#include "screen/progress.h"
#include "machine/signals.h"
#include "screen/terminal.h"
#include "base/util.h"

static void begin_message(void)
{
    fflush(stdout); /* so that what the program wrote earlier stands before the message */
    progress_clear();
}

void report_line(const char *format, ...)
{
    va_list arguments;
    begin_message();
    va_start(arguments, format);
    fputs("lkrun: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
}

/* Pushes "script.lua:12: interrupted". A traceback would add nothing of use. */
static void push_interrupted(lua_State *L)
{
    if (push_program_position(L, true)) {
        lua_pushliteral(L, ": " INTERRUPTED);
        lua_concat(L, 2);
    } else {
        lua_pushliteral(L, INTERRUPTED);
    }
}

/* Appends to the text on the top of the stack the traceback from the worker, which an invoker's
 * error object brings along. */
static void append_own_traceback(lua_State *L, int object)
{
    if (!lua_istable(L, object))
        return;
    if (lua_getfield(L, object, "traceback") == LUA_TSTRING) {
        lua_pushliteral(L, "\nwhere it was raised: ");
        lua_insert(L, -2);
        lua_concat(L, 3);
    } else {
        lua_pop(L, 1);
    }
}

/* The level of the stack at which the traceback begins: where the program called one of our own
 * modules, if the error is one of theirs ("lkrun: …"). */
static int first_level(lua_State *L, const char *message)
{
    int first = 1;
    lua_Debug activation;
    if (strncmp(message, "lkrun: ", 7) != 0)
        return first;
    for (int level = 1; lua_getstack(L, level, &activation); level++) {
        lua_getinfo(L, "S", &activation);
        if (is_own_source(activation.short_src))
            first = level + 1;
        else if (*activation.what != 'C')
            break;
    }
    return first;
}

/* Whether this is a COMMAND_FAILURE: a command's own words on why it ends, and the exit status. */
static bool is_failure(lua_State *L, int index)
{
    if (!luaL_getmetafield(L, index, "__name"))
        return false;
    bool is = lua_type(L, -1) == LUA_TSTRING && strcmp(lua_tostring(L, -1), COMMAND_FAILURE) == 0;
    lua_pop(L, 1);
    return is;
}

/* The message handler of report_call. */
static int describe_error(lua_State *L)
{
    if (is_failure(L, 1))
        return 1;
    if (lua_type(L, 1) == LUA_TSTRING && signal_is_interruption(lua_tostring(L, 1))) {
        push_interrupted(L);
        return 1;
    }
    int level = first_level(L, push_error_text(L, 1));
    append_own_traceback(L, 1);
    luaL_traceback(L, L, lua_tostring(L, -1), level);
    return 1;
}

int report_call(lua_State *L, int arguments, int results)
{
    int function = lua_gettop(L) - arguments;
    lua_pushcfunction(L, describe_error);
    lua_insert(L, function);
    int status = lua_pcall(L, arguments, results, function);
    lua_remove(L, function);
    return status;
}

int report_error(lua_State *L)
{
    static const char prefix[] = "lkrun: ";
    if (is_failure(L, -1)) {
        lua_getfield(L, -1, "status");
        lua_getfield(L, -2, "message");
        int failure = signal_received() ? 128 + signal_received() : (int)lua_tointeger(L, -2);
        report_line("%s", lua_tostring(L, -1));
        lua_pop(L, 3);
        return failure;
    }
    const char *message = lua_tostring(L, -1);
    int status = signal_is_interruption(message) || signal_pending() ? 128 + signal_received()
                                                                     : STATUS_FAILED;
    if (!message)
        message = "(error object is not a string)";
    if (strncmp(message, prefix, strlen(prefix)) == 0)
        message += strlen(prefix); /* report_line puts it in front */
    report_line("%s", message);
    lua_pop(L, 1);
    return status;
}

static pid_t program; /* the process whose exit is checked; a fork of it has another ID */

static void check_output(void)
{
    if (getpid() != program)
        return;
    bool lost_before = ferror(stdout);
    errno = 0;
    bool lost = fclose(stdout) != 0 || lost_before || terminal_write_error();
    int reason = errno ? errno : terminal_write_error();
    if (!lost || signal_received())
        return;
    report_line("standard output: %s; some of the output is lost",
                reason ? strerror(reason) : "a write failed");
    _exit(STATUS_FAILED);
}

void report_lost_output_at_exit(void)
{
    program = getpid();
    atexit(check_output);
}
