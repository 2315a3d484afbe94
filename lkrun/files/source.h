/* The bytes of a file, or of one entry of an archive, from the first to the last. */
#ifndef LKRUN_SOURCE_H
#define LKRUN_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <lua.h>

struct mapping;
struct storage;

struct source {
    /* The next `length` bytes, which `left` has; false with `problem` set. */
    bool (*read)(struct source *source, void *bytes, size_t length);
    int64_t at;         /* bytes before the next */
    int64_t left;       /* bytes from there to the end, as the container says */
    const char *direct; /* where they lie in memory, which is `mapping`'s if that is set; or NULL */
    struct mapping *mapping; /* of the whole file, or NULL */
    bool must_map;           /* nothing is copied; what would be is a problem */
    struct storage *pending; /* filled in for a tensor that is not there yet; or NULL */
    int64_t most;            /* bytes that its size justifies */
    int descriptor;          /* of the file; -1: none */
    void *container;         /* for read: the archive of an entry */
    char problem[512];       /* of the call that gave false: what was found; expected what */
};

bool source_fail(struct source *source, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* All of them, or false. */
bool source_read(struct source *source, void *bytes, size_t length);

/* Goes on behind the next `length` bytes, which `left` has and were read elsewhere. */
void source_pass(struct source *source, int64_t length);

/* The bytes of memory, which stays longer than the source. */
struct source source_of_memory(const void *bytes, size_t length);
/* Opens a regular file, which gives up to `left` bytes. source_close also after it gave false. */
bool source_open(struct source *source, const char *path);
/* Maps the file that is open, so that `direct` is set; where it can't be mapped nothing changes. */
void source_map(struct source *source, const char *path);
void source_close(struct source *source);

/* Pushes a source that is closed when the function that called this ends, however it ends. */
struct source *source_push(lua_State *L);
/* The path, or an error that names `where`. */
const char *path_argument(lua_State *L, int index, const char *where);

#endif
