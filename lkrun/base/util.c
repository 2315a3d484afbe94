#include "base/util.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

bool buffer_reserve(struct buffer *buffer, size_t more)
{
    size_t need = buffer->length + more;
    if (need < more)
        return false;
    if (need <= buffer->capacity)
        return true;
    size_t capacity = buffer->capacity ? buffer->capacity : 256;
    while (capacity < need) {
        if (capacity > SIZE_MAX / 2)
            return false;
        capacity *= 2;
    }
    char *data = realloc(buffer->data, capacity);
    if (!data)
        return false;
    buffer->data = data;
    buffer->capacity = capacity;
    return true;
}

bool buffer_append(struct buffer *buffer, const void *bytes, size_t length)
{
    if (!buffer_reserve(buffer, length))
        return false;
    if (length)
        memcpy(buffer->data + buffer->length, bytes, length);
    buffer->length += length;
    return true;
}

bool buffer_printf(struct buffer *buffer, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length < 0 || !buffer_reserve(buffer, (size_t)length + 1))
        return false;
    va_start(arguments, format);
    vsnprintf(buffer->data + buffer->length, (size_t)length + 1, format, arguments);
    va_end(arguments);
    buffer->length += (size_t)length;
    return true;
}

void buffer_free(struct buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct buffer){0};
}

/* Blocks SIGXFSZ, which a call raises that exceeds the limit on the size of files. `before` is for
 * release_limit. */
static void hold_limit(sigset_t *before)
{
    sigset_t signal;
    sigemptyset(&signal);
    sigaddset(&signal, SIGXFSZ);
    pthread_sigmask(SIG_BLOCK, &signal, before);
}

/* Ends what hold_limit began, after a call that failed with the errno `reason`, or succeeded (0):
 * removes the SIGXFSZ that the call may have left pending, and restores the signal mask. Leaves
 * `reason` in errno. */
static void release_limit(const sigset_t *before, int reason)
{
    sigset_t signal;
    sigemptyset(&signal);
    sigaddset(&signal, SIGXFSZ);
    if (reason == EFBIG)
        sigtimedwait(&signal, NULL, &(struct timespec){0});
    pthread_sigmask(SIG_SETMASK, before, NULL);
    errno = reason;
}

bool file_resize(int descriptor, size_t size)
{
    sigset_t before;
    hold_limit(&before);
    bool resized = ftruncate(descriptor, (off_t)size) == 0;
    release_limit(&before, resized ? 0 : errno);
    return resized;
}

ssize_t file_write(int descriptor, const void *bytes, size_t length, off_t offset)
{
    sigset_t before;
    ssize_t done;
    size_t most = length < (size_t)1 << 30 ? length : (size_t)1 << 30;
    hold_limit(&before);
    do
        done = offset == FILE_WRITE_ON ? write(descriptor, bytes, most)
                                       : pwrite(descriptor, bytes, most, offset);
    while (done < 0 && errno == EINTR);
    release_limit(&before, done < 0 ? errno : 0);
    return done;
}

bool file_write_all(int descriptor, const void *bytes, size_t length, off_t offset)
{
    const char *at = bytes;
    while (length > 0) {
        ssize_t done = file_write(descriptor, at, length, offset);
        if (done < 0 && errno == EAGAIN) {
            poll(&(struct pollfd){.fd = descriptor, .events = POLLOUT}, 1, -1);
            continue;
        }
        if (done == 0) /* no room, and no reason given: to try again could go on for ever */
            errno = EIO;
        if (done <= 0)
            return false;
        at += done;
        length -= (size_t)done;
        if (offset != FILE_WRITE_ON)
            offset += done;
    }
    return true;
}

uint64_t clock_nanoseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t clock_coarse(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

double clock_seconds(void)
{
    return (double)clock_nanoseconds() * 1e-9;
}

int raise_error(lua_State *L, const char *where, const char *format, ...)
{
    /* The text is formatted into an array, not a buffer: lua_pushfstring may raise for want of
     * memory, and then nothing has to be freed. */
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    lua_pushfstring(L, "lkrun: %s: %s", where, text);
    return lua_error(L);
}

bool is_own_source(const char *short_source)
{
    return strncmp(short_source, "lua/lkrun/", 10) == 0 ||
           strncmp(short_source, "lua/lkrec/", 10) == 0;
}

bool push_program_position(lua_State *L, bool exact)
{
    lua_Debug activation;
    for (int level = 1; lua_getstack(L, level, &activation); level++) {
        lua_getinfo(L, "Slt", &activation);
        if (activation.currentline > 0 && !is_own_source(activation.short_src)) {
            lua_pushfstring(L, "%s:%d", activation.short_src, activation.currentline);
            return true;
        }
        if (exact && activation.istailcall)
            return false;
    }
    return false;
}

int raise_plain(lua_State *L, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    lua_pushstring(L, text);
    return lua_error(L);
}

void register_class(lua_State *L, const char *name, const luaL_Reg *methods)
{
    if (luaL_newmetatable(L, name)) {
        luaL_setfuncs(L, methods, 0);
        lua_getfield(L, -1, "__index");
        if (lua_isnil(L, -1)) {
            lua_pushvalue(L, -2);
            lua_setfield(L, -3, "__index");
        }
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}
