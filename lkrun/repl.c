/* The prompt: an expression shows its values, a statement that is not finished goes on in the next
 * line. Ctrl-C drops what was typed, or interrupts what runs. */
#include "repl.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <lauxlib.h>

#include "report.h"
#include "signals.h"
#include "util.h"

enum reading { READ_LINE, READ_END, READ_INTERRUPTED };

/* Waits until there is something to read on the terminal or a signal is pending: a read alone would
 * sleep through a signal that came just before it. Standard input has no buffer that poll can't
 * see. */
static void wait_for_terminal(void)
{
    struct pollfd sources[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                               {.fd = signal_descriptor(), .events = POLLIN}};
    while (!signal_pending() && poll(sources, 2, -1) < 0 && errno == EINTR)
        ;
}

/* Pushes the next line without its end. */
static enum reading read_line(lua_State *L, const char *prompt)
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

/* Whether the error on the top says that the text ended too early. */
static bool is_unfinished(lua_State *L, int status)
{
    static const char mark[] = "<eof>";
    size_t length;
    const char *message = lua_tolstring(L, -1, &length);
    return status == LUA_ERRSYNTAX && length >= sizeof mark - 1 &&
           strcmp(message + length - (sizeof mark - 1), mark) == 0;
}

/* The text on the top becomes what it compiles to, or the error; gives the status of the load. */
static int compile(lua_State *L)
{
    size_t length;
    const char *expression = lua_pushfstring(L, "return %s;", lua_tostring(L, -1));
    int status = luaL_loadbuffer(L, expression, strlen(expression), "=stdin");
    if (status != LUA_OK) {
        lua_pop(L, 2);
        const char *text = lua_tolstring(L, -1, &length);
        status = luaL_loadbuffer(L, text, length, "=stdin");
    } else {
        lua_remove(L, -2);
    }
    return status;
}

/* Pushes the next statement or expression, compiled (status LUA_OK) or the error. */
static enum reading read_statement(lua_State *L, int *status)
{
    enum reading reading = read_line(L, "> ");
    if (reading != READ_LINE)
        return reading;
    for (;;) {
        *status = compile(L); /* text, function or error */
        if (!is_unfinished(L, *status)) {
            lua_remove(L, -2);
            return READ_LINE;
        }
        reading = read_line(L, ">> ");
        if (reading == READ_END) {
            lua_remove(L, -2); /* the error says what was missing */
            return READ_LINE;
        }
        if (reading == READ_INTERRUPTED) {
            lua_pop(L, 2);
            return reading;
        }
        lua_remove(L, -2);
        lua_pushliteral(L, "\n");
        lua_insert(L, -2);
        lua_concat(L, 3);
    }
}

/* All values on the stack, through the global `print`. */
static void print_values(lua_State *L)
{
    int count = lua_gettop(L);
    if (count == 0)
        return;
    luaL_checkstack(L, LUA_MINSTACK, "too many results to print");
    lua_getglobal(L, "print");
    lua_insert(L, 1);
    if (report_call(L, count, 0) != LUA_OK)
        report_error(L);
}

int repl_run(lua_State *L)
{
    int status;
    bool is_terminal = isatty(STDIN_FILENO);
    lua_settop(L, 0);
    lua_getglobal(L, "require");
    lua_pushliteral(L, "lkrun");
    lua_call(L, 1, 1);
    lua_setglobal(L, "lk");
    if (is_terminal) {
        setvbuf(stdin, NULL, _IONBF, 0);
        printf("lkrun %s, %s; lk is at hand; Ctrl-D ends\n", LKRUN_VERSION, LUA_RELEASE);
    }
    for (;;) {
        signals_rearm();
        enum reading reading = read_statement(L, &status);
        if (reading == READ_LINE) {
            if (status == LUA_OK)
                status = report_call(L, 0, LUA_MULTRET);
            if (status != LUA_OK)
                report_error(L);
            else
                print_values(L);
        }
        lua_settop(L, 0);
        if (signal_received() == SIGTERM)
            return 128 + SIGTERM;
        if (is_terminal && reading != READ_LINE)
            putchar('\n');
        if (reading == READ_END)
            return STATUS_DONE;
    }
}
