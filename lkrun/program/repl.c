/* The values of an expression are printed; a statement that is not finished goes on in the next
 * line. Ctrl-C drops what was typed, or interrupts what runs. */
#include "program/repl.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <lauxlib.h>

#include "program/editor.h"
#include "pool/pool_fork.h"
#include "screen/progress.h"
#include "program/report.h"
#include "machine/signals.h"
#include "screen/terminal.h"
#include "base/util.h"

/* Stack indices of the functions of lua/lkrun/prompt/init.lua that stay on the stack; HELD is how
 * many. */
enum { PRINT_RESULTS = 1, COMPLETE, LEAVING, HELD = LEAVING };

static bool is_edited; /* editor.c edits the lines; false: they are read as they come */

/* Waits until there is something to read on the terminal, or a signal is pending; a read alone
 * would sleep through a signal that came just before it. Standard input has no buffer here, so poll
 * sees all that was not read yet. */
static void wait_for_terminal(void)
{
    struct pollfd sources[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                               {.fd = signal_descriptor(), .events = POLLIN}};
    while (!signal_pending() && poll(sources, 2, -1) < 0 && errno == EINTR)
        ;
}

/* Pushes the next line, without the newline at its end, where no editor reads it. */
static enum reading read_plain_line(lua_State *L, const char *prompt)
{
    char *line = NULL;
    size_t capacity = 0;
    if (isatty(STDIN_FILENO)) {
        fputs(prompt, stdout);
        fflush(stdout);
        wait_for_terminal();
    }
    ssize_t length = signal_pending() ? -1 : getline(&line, &capacity, stdin);
    if (length >= 0) {
        if (length && line[length - 1] == '\n')
            length--;
        lua_pushlstring(L, line, (size_t)length);
    }
    free(line);
    if (length >= 0)
        return READ_LINE;
    clearerr(stdin);
    return signal_pending() ? READ_INTERRUPTED : READ_END;
}

static enum reading read_line(lua_State *L, const char *prompt)
{
    fflush(stdout);
    progress_clear();
    return is_edited ? editor_read(L, prompt, COMPLETE) : read_plain_line(L, prompt);
}

/* Whether the error on the top says that the text ended too early. */
static bool is_unfinished(lua_State *L, int status)
{
    static const char mark[] = "<eof>";
    size_t length;
    const char *message = lua_tolstring(L, -1, &length);
    return status == LUA_ERRSYNTAX && length >= sizeof mark - 1 &&
           strcmp(message + length - (sizeof mark - 1), mark) == 0;
}

/* Compiles the first `length` bytes of a text as they are, followed by "return", the rest of the
 * text and `end`, so that the rest is taken as an expression. Pushes the function or the error. */
static int compile_ending(lua_State *L, const char *text, size_t length, const char *end)
{
    lua_pushlstring(L, text, length);
    const char *chunk =
        lua_pushfstring(L, "%sreturn %s%s", lua_tostring(L, -1), text + length, end);
    int status = luaL_loadbuffer(L, chunk, strlen(chunk), "=stdin");
    lua_replace(L, -3);
    lua_pop(L, 1);
    return status;
}

/* Whether the first `length` bytes of a text are a chunk by themselves. */
static bool compiles(lua_State *L, const char *text, size_t length)
{
    bool whole = luaL_loadbuffer(L, text, length, "=stdin") == LUA_OK;
    lua_pop(L, 1);
    return whole;
}

/* If the text begins with rows of statements and the rows after them are an expression, pushes a
 * function that runs the statements and gives the expression's values. False, pushing nothing, for
 * any other text. `is_chunk`: the whole text is a chunk, too; then a row that could continue the
 * row before it is taken to do so, and begins no expression. */
static bool compile_last_rows(lua_State *L, const char *text, bool is_chunk)
{
    for (size_t at = strlen(text); at > 0; at--) {
        const char *row = text + at + strspn(text + at, " \t\n");
        if (text[at - 1] != '\n' || !*row || (is_chunk && strchr("([{\"'-~", *row)) ||
            !compiles(L, text, at))
            continue;
        if (compile_ending(L, row, 0, ";") == LUA_OK) {
            lua_pop(L, 1);
            if (compile_ending(L, text, at, ";") == LUA_OK)
                return true;
        }
        lua_pop(L, 1);
    }
    return false;
}

/* Compiles the text on the top of the stack: pushes the function or the error, and gives
 * the status of luaL_loadbuffer. */
static int compile(lua_State *L)
{
    size_t length;
    const char *text = lua_tolstring(L, -1, &length);
    int status = compile_ending(L, text, 0, ";");
    if (status == LUA_OK)
        return status;
    lua_pop(L, 1);
    status = compile_ending(L, text, 0, ""); /* says of "1 +" that it is unfinished */
    if (is_unfinished(L, status))
        return status;
    lua_pop(L, 1);
    status = luaL_loadbuffer(L, text, length, "=stdin");
    if (!compile_last_rows(L, text, status == LUA_OK))
        return status;
    lua_remove(L, -2);
    return LUA_OK;
}

/* Pushes the text of the next statement or expression, and the function that it compiles to (status
 * LUA_OK) or the error. */
static enum reading read_statement(lua_State *L, int *status)
{
    enum reading reading = read_line(L, "> ");
    while (reading == READ_LINE) {
        *status = compile(L);
        if (!is_unfinished(L, *status))
            return READ_LINE;
        reading = read_line(L, ">> ");
        if (reading == READ_END)
            return READ_LINE; /* the error on the stack says what is missing */
        if (reading == READ_INTERRUPTED)
            return reading;
        lua_remove(L, -2);
        lua_pushliteral(L, "\n");
        lua_insert(L, -2);
        lua_concat(L, 3);
    }
    return reading;
}

/* Runs the function on the top of the stack, and prints its values. */
static int run_statement(lua_State *L)
{
    int function = lua_gettop(L), columns, rows;
    int status = report_call(L, 0, LUA_MULTRET);
    int count = lua_gettop(L) - function + 1;
    if (status == LUA_OK && count > 0) {
        luaL_checkstack(L, LUA_MINSTACK, "too many results to print");
        lua_pushvalue(L, PRINT_RESULTS);
        lua_insert(L, function);
        terminal_size(STDOUT_FILENO, &columns, &rows);
        lua_pushinteger(L, columns);
        lua_insert(L, function + 1);
        status = report_call(L, count + 1, 0);
    }
    return status;
}

/* Whether the statement is only an attempt to leave the prompt in the way of another language
 * ("quit"); if so, prints how to leave this one. */
static bool is_about_leaving(lua_State *L, int statement)
{
    lua_pushvalue(L, LEAVING);
    lua_pushvalue(L, statement);
    bool said = report_call(L, 1, 1) == LUA_OK && lua_isstring(L, -1);
    if (said)
        puts(lua_tostring(L, -1));
    lua_pop(L, 1);
    return said;
}

/* Adds the statement to the history as it was typed, right or wrong. */
static void remember(lua_State *L, int index)
{
    size_t length;
    const char *text = lua_tolstring(L, index, &length);
    if (is_edited && strspn(text, " \t\n") < length)
        editor_remember(text, length);
}

/* Puts the functions of lua/lkrun/prompt/init.lua on the stack; false after telling what is
 * wrong. */
static bool prepare(lua_State *L)
{
    static const char *const held[HELD] = {"print_results", "complete", "leaving"};
    lua_settop(L, 0);
    lua_getglobal(L, "require");
    lua_pushliteral(L, "lkrun.prompt");
    if (report_call(L, 1, 1) != LUA_OK) {
        report_error(L);
        return false;
    }
    for (int i = 0; i < HELD; i++)
        lua_getfield(L, 1, held[i]);
    lua_remove(L, 1);
    return true;
}

int repl_run(lua_State *L)
{
    int status;
    bool is_terminal = isatty(STDIN_FILENO);
    if (!prepare(L))
        return STATUS_FAILED;
    is_edited = editor_open();
    if (is_terminal) {
        setvbuf(stdin, NULL, _IONBF, 0);
        printf("lkrun %s, %s; lk is at hand; help() says more, Ctrl-D ends\n", LKRUN_VERSION,
               LUA_RELEASE);
    }
    for (;;) {
        signals_rearm();
        enum reading reading = read_statement(L, &status);
        if (reading == READ_LINE) {
            remember(L, HELD + 1);
            if (status == LUA_OK && !is_about_leaving(L, HELD + 1))
                status = run_statement(L);
            if (status != LUA_OK)
                report_error(L);
            if (signal_received())
                pool_end_dropped(); /* does not wait for tasks of the interrupted map */
        }
        lua_settop(L, HELD);
        if (signal_received() == SIGTERM || reading == READ_END) {
            if (is_terminal && !is_edited)
                putchar('\n');
            if (is_edited)
                editor_close();
            return signal_received() == SIGTERM ? 128 + SIGTERM : STATUS_DONE;
        }
        if (is_terminal && !is_edited && reading != READ_LINE)
            putchar('\n');
    }
}
