/* Bytes that are read from the first to the last: those of a file, of one entry of an archive, or
 * of memory. */
#ifndef LKRUN_SOURCE_H
#define LKRUN_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <lua.h>

struct mapping;
struct storage;

struct source {
    /* Reads the next `length` bytes, at most `bytes_left`. False with `problem` set. */
    bool (*read)(struct source *source, void *bytes, size_t length);
    int64_t at;         /* offset of the next byte */
    int64_t bytes_left; /* bytes from the next one to the end, as the container says */
    /* Where the next byte lies in memory, or NULL. That memory belongs to `mapping` if that is set.
     */
    const char *direct;
    struct mapping *mapping; /* of the whole file, or NULL */
    bool must_map;           /* a tensor that can't stay in the mapped file is a problem */
    struct storage *pending; /* of a tensor that is being filled, before Lua has it; or NULL */
    int64_t most_justified;  /* bytes that a tensor may have, given how many the source has */
    int descriptor;          /* of the file; -1: none */
    void *container;         /* for `read`: the archive to which an entry belongs */
    char problem[512];       /* why the last call returned false: what was found; expected what */
};

/* Sets `problem` and returns false. */
bool source_fail(struct source *source, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Reads all of these bytes, or fails. */
bool source_read(struct source *source, void *bytes, size_t length);

/* Skips the next `length` bytes, at most `bytes_left`. */
void source_pass(struct source *source, int64_t length);

/* A source of the bytes of memory that outlives it. */
struct source source_of_memory(const void *bytes, size_t length);
/* Opens a regular file. Call source_close also after a failure. */
bool source_open(struct source *source, const char *path);
/* Maps the file that is open, so that `direct` is set. Where the file can't be mapped, the source
 * stays as it was. */
void source_map(struct source *source, const char *path);
void source_close(struct source *source);

/* Pushes a source that is closed when the function that called this ends, by an error too. */
struct source *source_push(lua_State *L);
/* The path at this index; raises an error that names `where`. */
const char *path_argument(lua_State *L, int index, const char *where);

#endif
