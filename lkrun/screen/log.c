/* Main invariant: a record's text is formatted once, where it is logged, and written in one piece.
 * Every line of it but the first starts with a space, and control characters are escaped: so a line
 * that does not start with a space begins a record. */
#include "screen/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/util.h"
#include "screen/terminal.h"

#define LOGGER_CLASS "lkrun.logger"

static const char *const level_names[] = {"debug", "info", "warn", "error", NULL};
static const char *const level_titles[] = {"DEBUG", "INFO", "WARN", "ERROR"};
static const char *const level_methods[] = {"logger:debug", "logger:info", "logger:warn",
                                            "logger:error"};
static const char *const level_colours[] = {"\033[2m", "\033[32m", "\033[33m", "\033[1;31m"};

/* Records of this level and above are written; -1: LK_LOG_LEVEL has not been read yet. */
static atomic_int lowest = -1;
/* LK_LOG_LEVEL is not a level, and the user has not been told so yet. */
static atomic_bool bad_environment;

static _Thread_local void (*handler)(void *context, const struct log_record *record);
static _Thread_local void *handler_context;

static int level_by_name(const char *name)
{
    for (int level = 0; level_names[level]; level++)
        if (strcmp(name, level_names[level]) == 0)
            return level;
    return -1;
}

static int read_environment(void)
{
    const char *value = getenv("LK_LOG_LEVEL");
    int level = LOG_LEVEL_INFO;
    if (value && *value) {
        int named = level_by_name(value);
        if (named < 0)
            atomic_store(&bad_environment, true);
        else
            level = named;
    }
    int unread = -1;
    atomic_compare_exchange_strong(&lowest, &unread, level);
    return atomic_load(&lowest);
}

static int current_level(void)
{
    int level = atomic_load_explicit(&lowest, memory_order_relaxed);
    return level >= 0 ? level : read_environment();
}

bool log_enabled(enum log_level level)
{
    return (int)level >= current_level();
}

#define BAD_LEVEL "\"%.64s\" is not a level; expected debug, info, warn or error"

void log_check_environment(lua_State *L)
{
    current_level();
    const char *value = getenv("LK_LOG_LEVEL");
    if (value && *value && level_by_name(value) < 0) {
        atomic_store(&bad_environment, false);
        raise_error(L, "LK_LOG_LEVEL", BAD_LEVEL, value);
    }
}

static bool append_head(struct buffer *out, const struct log_record *record, bool colour)
{
    struct timespec now;
    struct tm local;
    char clock[16];
    clock_gettime(CLOCK_REALTIME, &now);
    localtime_r(&now.tv_sec, &local);
    strftime(clock, sizeof clock, "%H:%M:%S", &local);
    bool done = buffer_printf(out, "%s.%03ld %s%s%s %s", clock, now.tv_nsec / 1000000,
                              colour ? level_colours[record->level] : "",
                              level_titles[record->level], colour ? "\033[0m" : "", record->logger);
    if (record->worker && record->task)
        done = done && buffer_printf(out, " [worker %d, task %llu]", record->worker,
                                     (unsigned long long)record->task);
    else if (record->worker)
        done = done && buffer_printf(out, " [worker %d]", record->worker);
    return done && buffer_append(out, ": ", 2);
}

static bool append_text(struct buffer *out, const char *text, size_t length)
{
    while (length > 0 && text[length - 1] == '\n')
        length--;
    if (!buffer_reserve(out, length + 1))
        return false;
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)text[i];
        bool done;
        if (byte == '\n')
            done = buffer_append(out, "\n    ", 5);
        else if ((byte < ' ' && byte != '\t') || byte == 0x7f)
            done = buffer_printf(out, "\\x%02x", byte);
        else
            done = buffer_append(out, &text[i], 1);
        if (!done)
            return false;
    }
    return buffer_append(out, "\n", 1);
}

static void write_to_standard_error(const struct log_record *record)
{
    struct buffer line = {0};
    if (append_head(&line, record, terminal_has_colour(STDERR_FILENO)) &&
        append_text(&line, record->text, record->length))
        terminal_write(STDERR_FILENO, line.data, line.length);
    else /* out of memory: writing the bare text needs none */
        terminal_write(STDERR_FILENO, record->text, record->length);
    buffer_free(&line);
}

void log_write(const struct log_record *record)
{
    void (*handle)(void *context, const struct log_record *record) = handler;
    if (!handle) {
        write_to_standard_error(record);
        return;
    }
    /* What the handler itself logs must not come back to it. */
    handler = NULL;
    handle(handler_context, record);
    handler = handle;
}

void log_set_handler(void (*handle)(void *context, const struct log_record *record), void *context)
{
    handler = handle;
    handler_context = context;
}

static void write_message(enum log_level level, const char *format, va_list arguments)
{
    char *text;
    int length = vasprintf(&text, format, arguments);
    if (length < 0)
        return;
    log_write(&(struct log_record){
        .level = level, .logger = "lkrun", .text = text, .length = (size_t)length});
    free(text);
}

void log_message(enum log_level level, const char *format, ...)
{
    bool enabled = log_enabled(level);
    if (atomic_exchange(&bad_environment, false))
        log_message(LOG_LEVEL_WARN, "LK_LOG_LEVEL: " BAD_LEVEL "; taken as info",
                    getenv("LK_LOG_LEVEL"));
    if (!enabled)
        return;
    va_list arguments;
    va_start(arguments, format);
    write_message(level, format, arguments);
    va_end(arguments);
}

/* A logger is a userdata that holds its name. Its methods have string.format as their upvalue. */
static int log_from_lua(lua_State *L, enum log_level level)
{
    if (!log_enabled(level))
        return 0;
    const char *logger = luaL_checkudata(L, 1, LOGGER_CLASS);
    size_t length;
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 2);
    if (lua_isnone(L, 3))
        lua_pushnil(L);
    lua_pushvalue(L, 3);
    lua_insert(L, 2); /* logger, format, string.format, format, ... */
    if (lua_pcall(L, lua_gettop(L) - 3, 1, 0) != LUA_OK) {
        const char *given = luaL_tolstring(L, 2, NULL);
        return raise_error(L, level_methods[level],
                           "%s in the format \"%s\"; the rules are string.format's",
                           lua_tostring(L, 3), given);
    }
    const char *text = lua_tolstring(L, -1, &length);
    log_write(
        &(struct log_record){.level = level, .logger = logger, .text = text, .length = length});
    return 0;
}

static int logger_debug(lua_State *L)
{
    return log_from_lua(L, LOG_LEVEL_DEBUG);
}

static int logger_info(lua_State *L)
{
    return log_from_lua(L, LOG_LEVEL_INFO);
}

static int logger_warn(lua_State *L)
{
    return log_from_lua(L, LOG_LEVEL_WARN);
}

static int logger_error(lua_State *L)
{
    return log_from_lua(L, LOG_LEVEL_ERROR);
}

static int logger_tostring(lua_State *L)
{
    lua_pushfstring(L, "logger %s", (const char *)luaL_checkudata(L, 1, LOGGER_CLASS));
    return 1;
}

/* get(name) → the logger of that name. Each name has one logger, as long as somebody holds it: the
 * upvalue is a table of loggers by name, with weak values. */
static int log_get(lua_State *L)
{
    size_t length;
    const char *name = luaL_checklstring(L, 1, &length);
    if (length == 0 || strcspn(name, "\n:") != length)
        return raise_error(L, "lk.log.get",
                           "\"%.64s\" is not a logger name; expected text without newline or colon",
                           name);
    lua_settop(L, 1);
    lua_pushvalue(L, 1);
    if (lua_gettable(L, lua_upvalueindex(1)) == LUA_TUSERDATA)
        return 1;
    char *held = lua_newuserdatauv(L, length + 1, 0);
    memcpy(held, name, length + 1);
    luaL_setmetatable(L, LOGGER_CLASS);
    lua_pushvalue(L, 1);
    lua_pushvalue(L, -2);
    lua_settable(L, lua_upvalueindex(1));
    return 1;
}

static int log_level_name(lua_State *L)
{
    lua_pushstring(L, level_names[current_level()]);
    return 1;
}

static int log_set_level(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    int level = level_by_name(name);
    if (level < 0)
        return raise_error(L, "lk.log.set_level", BAD_LEVEL, name);
    atomic_store(&lowest, level);
    return 0;
}

static const luaL_Reg logger_methods[] = {
    {"debug", logger_debug}, {"info", logger_info}, {"warn", logger_warn},
    {"error", logger_error}, {NULL, NULL},
};

static void register_logger(lua_State *L)
{
    static const luaL_Reg own[] = {{"__tostring", logger_tostring}, {NULL, NULL}};
    register_class(L, LOGGER_CLASS, own);
    luaL_getmetatable(L, LOGGER_CLASS);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_getfield(L, -1, "string");
    lua_getfield(L, -1, "format");
    lua_copy(L, -1, -3);
    lua_pop(L, 2); /* metatable, string.format */
    luaL_setfuncs(L, logger_methods, 1);
    lua_pop(L, 1);
}

static const luaL_Reg functions[] = {
    {"level", log_level_name},
    {"set_level", log_set_level},
    {NULL, NULL},
};

int luaopen_lkrun_core_log(lua_State *L);
int luaopen_lkrun_core_log(lua_State *L)
{
    log_check_environment(L);
    register_logger(L);
    luaL_newlib(L, functions);
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "v");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    lua_pushcclosure(L, log_get, 1);
    lua_setfield(L, -2, "get");
    return 1;
}
