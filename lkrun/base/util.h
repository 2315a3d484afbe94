/* Small things that every other file uses: a growable buffer, writing files, clocks, errors. */
#ifndef LKRUN_UTIL_H
#define LKRUN_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <lua.h>
#include <lauxlib.h>

#define LKRUN_VERSION "0.1.0"

/* Bytes that grow. One that is all zeros is empty; the owner calls buffer_free. */
struct buffer {
    char *data;
    size_t length;
    size_t capacity;
};

/* These three give false when there is no memory. buffer_reserve makes room for `more` bytes behind
 * those that are there. */
bool buffer_reserve(struct buffer *buffer, size_t more);
bool buffer_append(struct buffer *buffer, const void *bytes, size_t length);
bool buffer_printf(struct buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void buffer_free(struct buffer *buffer);

/* Makes a file `size` bytes long. False with errno set; that is EFBIG, and no SIGXFSZ is raised,
 * where the limit on the size of files (ulimit -f) is lower. */
bool file_resize(int descriptor, size_t size);

/* In place of an offset: write at the file's current position. */
#define FILE_WRITE_ON ((off_t)-1)
/* write or, with an offset, pwrite, which start again when a signal interrupts them. Gives the
 * number of bytes written, which may be less than `length`, or -1 with errno set; EFBIG as
 * above. */
ssize_t file_write(int descriptor, const void *bytes, size_t length, off_t offset);
/* Writes all of it, by file_write; waits where a pipe or a terminal is full and does not block.
 * False with errno set. */
bool file_write_all(int descriptor, const void *bytes, size_t length, off_t offset);

uint64_t clock_nanoseconds(void); /* CLOCK_MONOTONIC */
/* The same clock a few milliseconds behind, at a quarter of the cost. */
uint64_t clock_coarse(void);
double clock_seconds(void); /* CLOCK_MONOTONIC, in seconds */

/* Raises the Lua error "lkrun: WHERE: MESSAGE", without a position: `where` is the public name of
 * what was called ("lk.invoker", "LK_NUM_PROCS"). Never returns; it gives an int so that a C
 * function of Lua can end with "return raise_error(…)". */
int raise_error(lua_State *L, const char *where, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same without "lkrun: WHERE: ", for a caller that puts its own words in front. */
int raise_plain(lua_State *L, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Whether this is the source of one of our own Lua modules, such as "lua/lkrun/show.lua". */
bool is_own_source(const char *short_source);
/* Pushes "script.lua:12": the innermost line of the program that is running, outside of our own
 * modules. False, pushing nothing, where there is none. A function that made a tail call ("return
 * f()") is no longer on the stack: with `exact` the result is then false, without it the line is
 * that of the function's caller. */
bool push_program_position(lua_State *L, bool exact);

/* Registers a metatable `name` with these methods. It is its own `__index`, unless the methods
 * contain one. Pushes nothing. */
void register_class(lua_State *L, const char *name, const luaL_Reg *methods);

#endif
