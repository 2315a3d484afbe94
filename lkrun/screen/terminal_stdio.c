/* stdout and stderr are variables in the GNU C library. While a bar is drawn they name streams
 * whose writes go above the bar, and so do the file handles of the Lua states that asked for it.
 * That reaches C code, and print, io.write and file:write however the program holds them (`local
 * print = print` at its head, too), and costs nothing while no bar is drawn.
 *
 * A worker's streams are captured for good: each line goes out when it is finished, and the writes
 * are counted, so that the worker knows whether its task has printed.
 *
 * Main invariant: while `captured`, every stream here and every handle of an installed state points
 * to `around`; otherwise to `original`. The one that is not in use has nothing left to write. */
#include "screen/terminal_stdio.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <lauxlib.h>
#include <lualib.h>

#include "screen/terminal.h"

struct stream {
    const int descriptor;
    FILE **const variable; /* stdout or stderr of the C library */
    FILE *original;        /* what was in `variable`; NULL: the stream is not captured */
    FILE *around;          /* writes above the bar; made once and then kept; NULL: not made yet */
};

static struct stream streams[2] = {
    {.descriptor = STDOUT_FILENO, .variable = &stdout},
    {.descriptor = STDERR_FILENO, .variable = &stderr},
};
static bool captured;
static bool in_worker;
static uint64_t writes; /* that a worker's streams have made */

/* The file handles of one Lua state: a userdata that the state's registry holds. */
struct handles {
    luaL_Stream *handle[2]; /* NULL: the state has none */
    struct handles *next;
};
static struct handles *installed;

static ssize_t write_around(void *cookie, const char *bytes, size_t length)
{
    const struct stream *stream = cookie;
    bool done;
    if (in_worker) {
        writes++;
        done = terminal_write_unlocked(stream->descriptor, bytes, length);
    } else {
        done = terminal_try_write(stream->descriptor, bytes, length);
    }
    return done ? (ssize_t)length : 0;
}

/* Whether the stream still writes to its descriptor, and that is a terminal or a pipe. */
static bool needs_capture(const struct stream *stream)
{
    struct stat status;
    FILE *now = *stream->variable;
    return now && fileno(now) == stream->descriptor && fstat(stream->descriptor, &status) == 0 &&
           (S_ISFIFO(status.st_mode) || isatty(stream->descriptor));
}

/* How the program wants the stream buffered. A stream that has not been used yet has no buffer that
 * could tell; how it will be buffered depends on its descriptor. */
static int buffering(FILE *file, int descriptor)
{
    size_t size = __fbufsize(file);
    if (descriptor == STDERR_FILENO || size == 1)
        return _IONBF;
    if (size == 0)
        return isatty(descriptor) ? _IOLBF : _IOFBF;
    return __flbf(file) ? _IOLBF : _IOFBF;
}

static void point_handles(struct handles *handles, int which, FILE *from, FILE *to)
{
    for (; handles; handles = handles->next)
        if (handles->handle[which] && handles->handle[which]->f == from)
            handles->handle[which]->f = to;
}

static bool make_around(struct stream *stream)
{
    if (!stream->around) {
        stream->around = fopencookie(stream, "w", (cookie_io_functions_t){.write = write_around});
        /* So that fileno, and isatty of it, give what they gave before. */
        if (stream->around)
            stream->around->_fileno = stream->descriptor;
    }
    return stream->around;
}

static void turn_to_around(int which)
{
    struct stream *stream = &streams[which];
    stream->original = *stream->variable;
    *stream->variable = stream->around;
    point_handles(installed, which, stream->original, stream->around);
}

void stdio_capture(void)
{
    if (captured)
        return;
    captured = true;
    for (int i = 0; i < 2; i++) {
        struct stream *stream = &streams[i];
        if (!needs_capture(stream) || !make_around(stream))
            continue;
        fflush(*stream->variable);
        setvbuf(stream->around, NULL, buffering(*stream->variable, stream->descriptor), BUFSIZ);
        turn_to_around(i);
    }
}

void stdio_release(void)
{
    if (!captured || in_worker)
        return;
    for (int i = 0; i < 2; i++) {
        struct stream *stream = &streams[i];
        if (!stream->original)
            continue;
        fflush(stream->around);
        if (*stream->variable == stream->around)
            *stream->variable = stream->original;
        point_handles(installed, i, stream->around, stream->original);
        stream->original = NULL;
    }
    captured = false;
}

void stdio_enter_worker(void)
{
    in_worker = captured = true;
    for (int i = 0; i < 2; i++) {
        struct stream *stream = &streams[i];
        if (!make_around(stream))
            continue;
        __fpurge(*stream->variable);
        setvbuf(stream->around, NULL, _IOLBF, 1 << 16);
        if (!stream->original)
            turn_to_around(i);
    }
}

uint64_t stdio_written(void)
{
    return writes;
}

/* The userdata's __gc, when its Lua state is closed. */
static int forget_state(lua_State *L)
{
    struct handles *handles = lua_touserdata(L, 1), **at = &installed;
    while (*at && *at != handles)
        at = &(*at)->next;
    if (*at)
        *at = handles->next;
    handles->next = NULL;
    for (int i = 0; i < 2; i++)
        if (streams[i].original)
            point_handles(handles, i, streams[i].around, streams[i].original);
    return 0;
}

void stdio_pass_over(lua_State *L)
{
    lua_pushboolean(L, true);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &installed);
}

void stdio_install(lua_State *L)
{
    static const char *const names[2] = {"stdout", "stderr"};
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &installed) != LUA_TNIL) {
        lua_pop(L, 1);
        return;
    }
    lua_pop(L, 1);
    struct handles *handles = lua_newuserdatauv(L, sizeof *handles, 2);
    *handles = (struct handles){0};
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    if (lua_getfield(L, -1, LUA_IOLIBNAME) == LUA_TTABLE)
        for (int i = 0; i < 2; i++) {
            lua_getfield(L, -1, names[i]);
            handles->handle[i] = luaL_testudata(L, -1, LUA_FILEHANDLE);
            lua_setiuservalue(L, -4, i + 1); /* keeps the handle alive as long as we point to it */
        }
    lua_pop(L, 2);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, forget_state);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &installed);
    handles->next = installed;
    installed = handles;
    for (int i = 0; i < 2; i++)
        if (streams[i].original)
            point_handles(handles, i, streams[i].original, streams[i].around);
}
