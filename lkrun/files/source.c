/* Invariant: where `direct` is set, it points to the byte that `read` would give next. */
#include "files/source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/util.h"
#include "base/value_text.h"
#include "memory/mapping.h"
#include "memory/storage.h"

bool source_fail(struct source *source, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(source->problem, sizeof source->problem, format, arguments);
    va_end(arguments);
    return false;
}

bool source_read(struct source *source, void *bytes, size_t length)
{
    if ((uint64_t)source->bytes_left < length)
        return source_fail(source, "it ends before its data do; it was cut off");
    if (!source->read(source, bytes, length))
        return false;
    source_pass(source, (int64_t)length);
    return true;
}

void source_pass(struct source *source, int64_t length)
{
    source->at += length;
    source->bytes_left -= length;
    if (source->direct)
        source->direct += length;
}

static bool read_memory(struct source *source, void *bytes, size_t length)
{
    if (length)
        memcpy(bytes, source->direct, length);
    return true;
}

struct source source_of_memory(const void *bytes, size_t length)
{
    return (struct source){.read = read_memory,
                           .bytes_left = (int64_t)length,
                           .direct = bytes,
                           .most_justified = 2 * (int64_t)length, /* an f16 becomes an f32 */
                           .descriptor = -1};
}

static bool read_file(struct source *source, void *bytes, size_t length)
{
    char *to = bytes;
    off_t at = source->at;
    while (length > 0) {
        ssize_t done = pread(source->descriptor, to, length < 1u << 30 ? length : 1u << 30, at);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return source_fail(source, "%s", strerror(errno));
        if (done == 0)
            return source_fail(source, "it ends before its data do; it was cut off");
        to += done;
        at += done;
        length -= (size_t)done;
    }
    return true;
}

bool source_open(struct source *source, const char *path)
{
    struct stat status;
    source->descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (source->descriptor < 0 || fstat(source->descriptor, &status) < 0)
        return source_fail(source, "%s", strerror(errno));
    if (!S_ISREG(status.st_mode))
        return source_fail(source, S_ISDIR(status.st_mode) ? "it is a directory; expected a file"
                                                           : "it is not a regular file");
    source->read = read_file;
    source->bytes_left = status.st_size;
    source->most_justified = 2 * source->bytes_left; /* an f16 becomes an f32 */
    return true;
}

void source_map(struct source *source, const char *path)
{
    source->mapping =
        mapping_open(source->descriptor, (size_t)(source->at + source->bytes_left), path);
    if (source->mapping)
        source->direct = mapping_bytes(source->mapping) + source->at;
}

void source_close(struct source *source)
{
    if (source->descriptor >= 0)
        close(source->descriptor);
    if (source->mapping)
        mapping_release(source->mapping);
    if (source->pending)
        storage_release(source->pending);
    source->descriptor = -1;
    source->mapping = NULL;
    source->pending = NULL;
    source->direct = NULL;
}

static int close_source(lua_State *L)
{
    source_close(lua_touserdata(L, 1));
    return 0;
}

struct source *source_push(lua_State *L)
{
    struct source *source = lua_newuserdatauv(L, sizeof *source, 0);
    *source = (struct source){.descriptor = -1};
    lua_createtable(L, 0, 2);
    lua_pushcfunction(L, close_source);
    lua_setfield(L, -2, "__close");
    lua_pushcfunction(L, close_source);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    lua_toclose(L, -1);
    return source;
}

const char *path_argument(lua_State *L, int index, const char *where)
{
    size_t length;
    if (lua_type(L, index) != LUA_TSTRING)
        raise_error(L, where, "the path is %s; expected a string", type_text(L, index));
    const char *path = lua_tolstring(L, index, &length);
    if (strlen(path) != length)
        raise_error(L, where, "the path has a NUL byte in it");
    return path;
}
