#include "rows/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lua.h>
#include <lauxlib.h>

#include "machine/signals.h"

#define BLOCK sizeof((struct digest *)0)->block

/* The five primes of the specification. */
static const uint64_t P1 = 0x9E3779B185EBCA87u, P2 = 0xC2B2AE3D27D4EB4Fu, P3 = 0x165667B19E3779F9u,
                      P4 = 0x85EBCA77C2B2AE63u, P5 = 0x27D4EB2F165667C5u;

static inline uint64_t rotate(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

static inline uint64_t word(const unsigned char *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return value; /* little-endian, like every format of ours */
}

static inline uint64_t mix(uint64_t lane, uint64_t input)
{
    return rotate(lane + input * P2, 31) * P1;
}

static inline void add_block(struct digest *digest, const unsigned char *at)
{
    for (int i = 0; i < 4; i++)
        digest->lane[i] = mix(digest->lane[i], word(at + 8 * i));
}

void digest_begin(struct digest *digest, uint64_t seed)
{
    *digest = (struct digest){.lane = {seed + P1 + P2, seed + P2, seed, seed - P1}, .seed = seed};
}

void digest_add(struct digest *digest, const void *bytes, size_t length)
{
    const unsigned char *at = bytes;
    size_t used = digest->length % BLOCK;
    digest->length += length;
    if (used + length < BLOCK) {
        memcpy(digest->block + used, at, length);
        return;
    }
    if (used > 0) {
        memcpy(digest->block + used, at, BLOCK - used);
        add_block(digest, digest->block);
        at += BLOCK - used;
        length -= BLOCK - used;
    }
    for (; length >= BLOCK; at += BLOCK, length -= BLOCK)
        add_block(digest, at);
    memcpy(digest->block, at, length);
}

uint64_t digest_end(const struct digest *digest)
{
    const uint64_t *lane = digest->lane;
    uint64_t hash = digest->seed + P5;
    if (digest->length >= BLOCK) {
        hash = rotate(lane[0], 1) + rotate(lane[1], 7) + rotate(lane[2], 12) + rotate(lane[3], 18);
        for (int i = 0; i < 4; i++)
            hash = (hash ^ mix(0, lane[i])) * P1 + P4;
    }
    hash += digest->length;
    size_t rest = digest->length % BLOCK;
    const unsigned char *at = digest->block;
    for (; rest >= 8; at += 8, rest -= 8)
        hash = rotate(hash ^ mix(0, word(at)), 27) * P1 + P4;
    if (rest >= 4) {
        uint32_t half;
        memcpy(&half, at, sizeof half);
        hash = rotate(hash ^ half * P1, 23) * P2 + P3;
        at += 4;
        rest -= 4;
    }
    for (; rest > 0; at++, rest--)
        hash = rotate(hash ^ *at * P5, 11) * P1;
    hash = (hash ^ hash >> 33) * P2;
    hash = (hash ^ hash >> 29) * P3;
    return hash ^ hash >> 32;
}

static int push_digest(lua_State *L, const struct digest *digest)
{
    char text[20];
    snprintf(text, sizeof text, "%016llx", (unsigned long long)digest_end(digest));
    lua_pushstring(L, text);
    return 1;
}

/* bytes(text) → its digest, 16 hexadecimal digits */
static int of_bytes(lua_State *L)
{
    size_t length;
    const char *bytes = luaL_checklstring(L, 1, &length);
    struct digest digest;
    digest_begin(&digest, 0);
    digest_add(&digest, bytes, length);
    return push_digest(L, &digest);
}

static int fail(lua_State *L, int fd)
{
    int error = errno;
    if (fd >= 0)
        close(fd);
    lua_pushnil(L);
    lua_pushstring(L, strerror(error));
    return 2;
}

/* file(path) → the digest of its bytes; or nil, why not */
static int of_file(lua_State *L)
{
    static _Thread_local unsigned char bytes[256 << 10];
    struct digest digest;
    int fd = open(luaL_checkstring(L, 1), O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail(L, fd);
    posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    digest_begin(&digest, 0);
    for (;;) {
        ssize_t got = read(fd, bytes, sizeof bytes);
        if (got == 0)
            break;
        if (got < 0 && errno != EINTR)
            return fail(L, fd);
        if (got > 0)
            digest_add(&digest, bytes, (size_t)got);
        if (signal_pending()) {
            close(fd);
            signal_raise_if_pending(L);
        }
    }
    close(fd);
    return push_digest(L, &digest);
}

static const luaL_Reg functions[] = {{"bytes", of_bytes}, {"file", of_file}, {NULL, NULL}};

int luaopen_lkrun_core_digest(lua_State *L);
int luaopen_lkrun_core_digest(lua_State *L)
{
    luaL_newlib(L, functions);
    return 1;
}
