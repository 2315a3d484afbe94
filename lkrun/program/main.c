/* The command line: docs/commandline.md says what its parts mean. */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lua.h>
#include <lauxlib.h>
#include <lualib.h>

#include "state/embedded.h"
#include "state/host.h"
#include "base/nearest.h"
#include "program/repl.h"
#include "program/report.h"
#include "machine/signals.h"
#include "worker/worker_spawned.h"
#include "base/util.h"

static const char help[] =
    "lkrun script.lua [args]   run a program\n"
    "lkrun -e CHUNK [args]     run CHUNK, a piece of Lua\n"
    "lkrun - [args]            run the program on standard input\n"
    "lkrun [-i script.lua]     the prompt, after the script\n"
    "lkrun check FILE...       report syntax errors and misspelt names, run nothing\n"
    "lkrun map OP.lua --tasks FILE --output FILE   an operation over a file of tasks\n"
    "lkrun merge OUT SHARD...  join the outputs of the shards of one map\n"
    "lkrun doctor [--json]     what lkrun would use here, why, and what is wrong\n"
    "lkrun trace FILE          summarize a timeline that LK_TRACE made\n"
    "lkrun COMMAND --help      more about check, doctor, map, merge, trace\n"
    "lkrun --help              this text\n"
    "lkrun --version           which lkrun and which Lua\n"
    "\n"
    "Exit status: 0 done, 1 the program failed, 2 wrong use or unusable input,\n"
    "130 SIGINT, 143 SIGTERM, 141 standard output closed.\n";

enum command { RUN_SCRIPT, RUN_CHUNK, RUN_INPUT, PROMPT, SUBCOMMAND, HELP, VERSION };

/* The command line, and what it asks for. */
struct invocation {
    int argc;
    char **argv;
    enum command command;
    const char *program; /* the script or the chunk; NULL: a prompt without a script */
    int name_at;         /* argv[name_at] is arg[0]; the program's arguments follow it */
    int exit_status;
};

static bool input_was_closed; /* whether standard input was closed when this process started */

/* Opens those of the descriptors 0, 1 and 2 that are closed, so that no file that the program opens
 * gets such a number. Reading from such an input gives its end; writing to such a standard output
 * fails, because its descriptor is opened for reading, and the loss is reported; what is written to
 * such a standard error vanishes. */
static void open_standard_descriptors(void)
{
    input_was_closed = fcntl(STDIN_FILENO, F_GETFD) < 0;
    for (int descriptor = STDIN_FILENO; descriptor <= STDERR_FILENO; descriptor++)
        if (fcntl(descriptor, F_GETFD) < 0 && errno == EBADF)
            if (open("/dev/null", descriptor == STDERR_FILENO ? O_WRONLY : O_RDONLY) < 0)
                abort();
}

/* NAME, where this module is lkrun.command.NAME and so runs a subcommand; NULL: the module is
 * something else, or a part of such a module. */
static const char *subcommand_of(const struct embedded_lua *module)
{
    static const char prefix[] = "lkrun.command.";
    if (strncmp(module->name, prefix, sizeof prefix - 1) != 0)
        return NULL;
    const char *name = module->name + sizeof prefix - 1;
    return strchr(name, '.') ? NULL : name;
}

static bool is_subcommand(const char *word)
{
    for (const struct embedded_lua *module = embedded_lua; module->name; module++) {
        const char *name = subcommand_of(module);
        if (name && strcmp(name, word) == 0)
            return true;
    }
    return false;
}

/* The subcommand that may have been meant by a word which names no file; NULL: none. */
static const char *nearest_subcommand(const char *word)
{
    const char *names[16];
    size_t count = 0;
    for (const struct embedded_lua *module = embedded_lua; module->name; module++)
        if (subcommand_of(module) && count + 1 < sizeof names / sizeof *names)
            names[count++] = subcommand_of(module);
    names[count] = NULL;
    return nearest_name(word, names);
}

static void report_unknown_option(const char *word)
{
    static const char *const options[] = {"--help", "--version", NULL};
    const char *meant = nearest_name(word, options);
    if (meant)
        report_line("%s: unknown option (did you mean '%s'?); lkrun --help lists what there is",
                    word, meant);
    else
        report_line("%s: unknown option; lkrun --help lists what there is", word);
}

static void ask_for(struct invocation *invocation, enum command command, const char *program,
                    int name_at)
{
    invocation->command = command;
    invocation->program = program;
    invocation->name_at = name_at;
}

/* Finds out what the command line asks for. False after saying what is wrong with it. */
static bool parse(struct invocation *invocation)
{
    int argc = invocation->argc;
    char **argv = invocation->argv;
    const char *first = argc > 1 ? argv[1] : NULL;
    ask_for(invocation, RUN_SCRIPT, first, 1);
    if (!first) {
        ask_for(invocation, isatty(STDIN_FILENO) ? PROMPT : RUN_INPUT, NULL, 0);
    } else if (strcmp(first, "--help") == 0) {
        invocation->command = HELP;
    } else if (strcmp(first, "--version") == 0) {
        invocation->command = VERSION;
    } else if (strcmp(first, "-") == 0) {
        ask_for(invocation, RUN_INPUT, NULL, 1);
    } else if (strcmp(first, "-e") == 0) {
        if (argc < 3) {
            report_line("-e: nothing follows; expected a piece of Lua");
            return false;
        }
        ask_for(invocation, RUN_CHUNK, argv[2], 2);
    } else if (strcmp(first, "-i") == 0) {
        ask_for(invocation, PROMPT, argc > 2 ? argv[2] : NULL, argc > 2 ? 2 : 0);
    } else if (is_subcommand(first)) {
        invocation->command = SUBCOMMAND;
    } else if (strcmp(first, "--") == 0 && argc > 2) {
        ask_for(invocation, RUN_SCRIPT, argv[2], 2);
    } else if (first[0] == '-') {
        report_unknown_option(first);
        return false;
    }
    return true;
}

/* Sets the global `arg`: the program's arguments from index 1 on, its name at 0, what stood before
 * it on the command line below 0. */
static void set_arg(lua_State *L, const struct invocation *invocation)
{
    lua_createtable(L, invocation->argc - invocation->name_at, invocation->name_at + 1);
    for (int i = 0; i < invocation->argc; i++) {
        lua_pushstring(L, invocation->argv[i]);
        lua_rawseti(L, -2, i - invocation->name_at);
    }
    lua_setglobal(L, "arg");
}

/* Whether `path` is a file that can be read; where not, says why. The file is not opened to find
 * out: the writer of a FIFO would see its reader come and go. */
static bool is_readable(const char *path)
{
    struct stat file;
    if (stat(path, &file) != 0 || euidaccess(path, R_OK) != 0) {
        int problem = errno;
        const char *meant = problem == ENOENT ? nearest_subcommand(path) : NULL;
        if (meant)
            report_line("%s: %s (did you mean 'lkrun %s'?); expected the path of a Lua script or a "
                        "command (lkrun --help)",
                        path, strerror(problem), meant);
        else
            report_line("%s: %s; expected the path of a Lua script (lkrun --help)", path,
                        strerror(problem));
        return false;
    }
    if (S_ISDIR(file.st_mode)) {
        report_line("%s: is a directory; expected the path of a Lua script", path);
        return false;
    }
    return true;
}

/* Pushes the compiled program and gives STATUS_DONE. On failure says why and gives the exit
 * status. */
static int load_program(lua_State *L, const struct invocation *invocation)
{
    int status;
    if (invocation->command == RUN_CHUNK) {
        status =
            luaL_loadbuffer(L, invocation->program, strlen(invocation->program), "=(command line)");
    } else if (invocation->command == RUN_INPUT) {
        if (input_was_closed) {
            report_line("standard input: is closed; expected a Lua program there");
            return STATUS_MISUSE;
        }
        status = luaL_loadfile(L, NULL);
    } else {
        if (!is_readable(invocation->program))
            return STATUS_MISUSE;
        status = luaL_loadfile(L, invocation->program);
    }
    if (status == LUA_OK)
        return STATUS_DONE;
    int exit_status = report_error(L);
    return status == LUA_ERRFILE && exit_status == STATUS_FAILED ? STATUS_MISUSE : exit_status;
}

static int run_program(lua_State *L, const struct invocation *invocation)
{
    int first = invocation->name_at + 1, argc = invocation->argc;
    int status = load_program(L, invocation);
    if (status != STATUS_DONE)
        return status;
    luaL_checkstack(L, argc, "too many arguments");
    for (int i = first; i < argc; i++)
        lua_pushstring(L, invocation->argv[i]);
    if (report_call(L, argc > first ? argc - first : 0, 0) != LUA_OK)
        return report_error(L);
    return STATUS_DONE;
}

static int run_prompt(lua_State *L, const struct invocation *invocation)
{
    if (invocation->program) {
        int status = run_program(L, invocation);
        /* After any other failure there is a prompt, for looking at what failed. */
        if (status == STATUS_MISUSE || status == 128 + SIGTERM)
            return status;
    }
    return repl_run(L);
}

/* The module lkrun.command runs the subcommand. An error that it raises for the user to read
 * (COMMAND_FAILURE in report.h) brings the exit status with it. */
static int run_subcommand(lua_State *L, const struct invocation *invocation)
{
    int argc = invocation->argc;
    char **argv = invocation->argv;
    lua_getglobal(L, "require");
    lua_pushliteral(L, "lkrun.command");
    if (report_call(L, 1, 1) != LUA_OK)
        return report_error(L);
    lua_getfield(L, -1, "run");
    lua_pushstring(L, argv[1]);
    lua_createtable(L, argc - 2, 0);
    for (int i = 2; i < argc; i++) {
        lua_pushstring(L, argv[i]);
        lua_rawseti(L, -2, i - 1);
    }
    if (report_call(L, 2, 1) != LUA_OK)
        return report_error(L);
    return (int)lua_tointeger(L, -1);
}

/* main calls this in protected mode, because it may raise. */
static int run(lua_State *L)
{
    struct invocation *invocation = lua_touserdata(L, 1);
    lua_settop(L, 0);
    luaL_openlibs(L);
    host_preload(L);
    signals_install(L);
    lua_gc(L, LUA_GCGEN, 0, 0); /* as in lua5.4 */
    set_arg(L, invocation);
    if (invocation->command == SUBCOMMAND)
        invocation->exit_status = run_subcommand(L, invocation);
    else if (invocation->command == PROMPT)
        invocation->exit_status = run_prompt(L, invocation);
    else
        invocation->exit_status = run_program(L, invocation);
    return 0;
}

int main(int argc, char **argv)
{
    struct invocation invocation = {.argc = argc, .argv = argv};
    /* Another lkrun has started this process as a worker. */
    if (argc == 3 && strcmp(argv[1], SPAWN_ARGUMENT) == 0)
        return spawn_main(argv[2]);
    spawn_is_lkrun = true;
    /* A parent that ignores SIGCHLD hands that down; exit statuses of workers would be lost. */
    signal(SIGCHLD, SIG_DFL);
    open_standard_descriptors();
    setlocale(LC_CTYPE, ""); /* no other category, so that numbers keep their decimal point */
    report_lost_output_at_exit();
    if (!parse(&invocation))
        return STATUS_MISUSE;
    if (invocation.command == HELP)
        return fputs(help, stdout) < 0;
    if (invocation.command == VERSION)
        return printf("lkrun %s (%s)\n", LKRUN_VERSION, LUA_RELEASE) < 0;

    lua_State *L = luaL_newstate();
    if (!L) {
        report_line("no memory for a Lua state");
        return STATUS_FAILED;
    }
    lua_pushcfunction(L, run);
    lua_pushlightuserdata(L, &invocation);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK)
        invocation.exit_status = report_error(L);
    lua_close(L);
    return invocation.exit_status;
}
