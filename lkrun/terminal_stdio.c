/* stdout and stderr are variables in the GNU C library. While a bar is drawn they name streams
 * whose writes take the bar off, and so do the file handles of the Lua states that asked for it.
 * That reaches print, io.write and file:write however the program holds them (`local print = print`
 * at its head included) and C code, and costs nothing while no bar is drawn.
 *
 * Main invariant: while `captured`, every stream here and every handle of an installed state points
 * to `around`; otherwise to `original`. Nothing is left unwritten in the one that isn't in use. */
#include "terminal_stdio.h"
#include "terminal.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct stream {
    const int descriptor;
    FILE **const variable;
    FILE *original; /* while captured; else NULL */
    FILE *around;   /* made once, kept */
};

static struct stream streams[2] = {
    {.descriptor = STDOUT_FILENO, .variable = &stdout},
    {.descriptor = STDERR_FILENO, .variable = &stderr},
};
static bool captured;

/* The file handles of one Lua state; a userdata of it that the registry holds. */
struct handles {
    luaL_Stream *handle[2]; /* NULL: the state has none */
    struct handles *next;
};
static struct handles *installed;

static ssize_t write_around(void *cookie, const char *bytes, size_t length)
{
    const struct stream *stream = cookie;
    return terminal_output(stream->descriptor, bytes, length) ? (ssize_t)length : 0;
}

static bool needs_capture(const struct stream *stream)
{
    struct stat status;
    FILE *now = *stream->variable;
    return now && fileno(now) == stream->descriptor && fstat(stream->descriptor, &status) == 0 &&
           (S_ISFIFO(status.st_mode) || isatty(stream->descriptor));
}

/* How the program wants it buffered; a stream not used yet does not know and follows the
 * descriptor. */
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

void stdio_capture(void)
{
    if (captured)
        return;
    captured = true;
    for (int i = 0; i < 2; i++) {
        struct stream *stream = &streams[i];
        if (!needs_capture(stream))
            continue;
        if (!stream->around) {
            stream->around =
                fopencookie(stream, "w", (cookie_io_functions_t){.write = write_around});
            if (!stream->around)
                continue;
            /* So that fileno and isatty go on telling the truth about it. */
            stream->around->_fileno = stream->descriptor;
        }
        FILE *original = *stream->variable;
        fflush(original);
        setvbuf(stream->around, NULL, buffering(original, stream->descriptor), BUFSIZ);
        stream->original = original;
        *stream->variable = stream->around;
        point_handles(installed, i, original, stream->around);
    }
}

static void release(bool flush)
{
    if (!captured)
        return;
    for (int i = 0; i < 2; i++) {
        struct stream *stream = &streams[i];
        if (!stream->original)
            continue;
        if (flush)
            fflush(stream->around);
        else
            __fpurge(stream->around);
        if (*stream->variable == stream->around)
            *stream->variable = stream->original;
        point_handles(installed, i, stream->around, stream->original);
        stream->original = NULL;
    }
    captured = false;
}

void stdio_release(void)
{
    release(true);
}

void stdio_enter_worker(void)
{
    release(false);
}

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
            lua_setiuservalue(L, -4, i + 1); /* lives as long as we point to it */
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
