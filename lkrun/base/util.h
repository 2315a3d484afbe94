/* Small things every other file stands on: clocks, a growable buffer, the shape of errors. */
#ifndef LKRUN_UTIL_H
#define LKRUN_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <lua.h>
#include <lauxlib.h>

#define LKRUN_VERSION "0.1.0"

/* Bytes that grow. Zero-initialised is empty; the owner calls buffer_free. */
struct buffer {
    char *data;
    size_t length;
    size_t capacity;
};

bool buffer_reserve(struct buffer *buffer, size_t more); /* false: out of memory */
bool buffer_append(struct buffer *buffer, const void *bytes, size_t length); /* the same */
bool buffer_printf(struct buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void buffer_free(struct buffer *buffer);

/* Makes an anonymous file so long. False with errno set; EFBIG where the limit on the size of files
 * (ulimit -f) is lower: without its signal. */
bool file_resize(int descriptor, size_t size);

/* write, or with an offset pwrite, that is not interrupted: bytes written, or -1 with errno set; a
 * limit on the size of files is EFBIG there, too. */
ssize_t file_write(int descriptor, const void *bytes, size_t length, off_t offset);
#define FILE_WRITE_ON ((off_t)-1) /* where the last write ended */
/* Writes all of it, by file_write; waits where a pipe or a terminal is full and does not block.
 * False with errno set. */
bool file_write_all(int descriptor, const void *bytes, size_t length, off_t offset);

uint64_t clock_nanoseconds(void); /* CLOCK_MONOTONIC */
/* The same clock a few milliseconds behind, at a quarter of the cost. */
uint64_t clock_coarse(void);
double clock_seconds(void); /* CLOCK_MONOTONIC, in seconds */

/* Raises the Lua error "lkrun: WHERE: MESSAGE", without a position: `where` is the public name
 * of what was called ("lk.invoker", "LK_NUM_PROCS"). Never returns; int so callers can return it.
 */
int raise_error(lua_State *L, const char *where, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same without "lkrun: WHERE: ", for a caller that puts its own in front. */
int raise_plain(lua_State *L, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Whether this is one of our own Lua modules: "lua/lkrun/show.lua". */
bool is_own_source(const char *short_source);
/* Pushes "script.lua:12", the innermost line of the program that is running, our own modules passed
 * over; false, pushing nothing, where there is none. Who made a tail call ("return f()") has left:
 * `exact` gives nothing then, else it is the line of whoever called that. */
bool push_program_position(lua_State *L, bool exact);

/* Registers a metatable `name` with these methods, `__index` itself, and leaves nothing. */
void register_class(lua_State *L, const char *name, const luaL_Reg *methods);

#endif
