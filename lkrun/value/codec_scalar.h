/* The bytes of scalars, the values whose encoding needs no memory: one tag byte, then what the tag
 * says, in the machine's byte order. Inline, because the pool's hot loop handles little else: a
 * scalar costs a few nanoseconds. The bytes are the same that codec_encode writes and codec_decode
 * reads. */
#ifndef LKRUN_CODEC_SCALAR_H
#define LKRUN_CODEC_SCALAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <lua.h>

enum codec_tag {
    CODEC_SMALL_INTEGER = 0x00, /* … 0x7F: the integer itself */
    CODEC_SHORT_STRING = 0x80,  /* … 0xBF: its length, 0 to 63; the bytes */
    CODEC_NIL = 0xC0,
    CODEC_FALSE,
    CODEC_TRUE,
    CODEC_NULL,      /* lk.null: the light userdata NULL */
    CODEC_INTEGER32, /* i32 */
    CODEC_INTEGER,   /* i64 */
    CODEC_FLOAT,     /* the 8 bytes of the number, NaN payloads included */
    CODEC_STRING,    /* u64 length; the bytes */

    /* Values that can occur in several places. Where one does, the tag of its first occurrence is
     * _SHARED, and each other occurrence is CODEC_AGAIN with the position of that tag, from the
     * start of the encoding (u64). */
    CODEC_TABLE, /* u32 n, u32 pairs; the values of 1 … n, nil among them; pairs × (key, value) */
    CODEC_TABLE_SHARED,
    CODEC_TENSOR, /* u8 dtype, u8 dimensions, u8 placed, i64 sizes; the elements, or u64 handle */
    CODEC_TENSOR_SHARED,
    CODEC_SPARSE, /* i64 rows, i64 columns; three tensors: pointers, columns, values */
    CODEC_SPARSE_SHARED,
    CODEC_AGAIN,
    CODEC_TAG_END
};

#define CODEC_SHORT_STRING_MAX 63 /* bytes */
#define CODEC_SCALAR_MAX       64 /* bytes that codec_put writes at most */

/* Writes the value at this stack index to `out` (room for CODEC_SCALAR_MAX bytes) if it is nil, a
 * boolean, a number, a string of up to 63 bytes or lk.null. Returns the number of bytes, or 0 where
 * codec_encode is needed. Allocates nothing, and never raises. */
static inline size_t codec_put(lua_State *L, int index, char *out)
{
    if (lua_isinteger(L, index)) {
        lua_Integer integer = lua_tointegerx(L, index, NULL);
        if (integer >= 0 && integer < 0x80) {
            out[0] = (char)integer;
            return 1;
        }
        if (integer == (int32_t)integer) {
            int32_t narrow = (int32_t)integer;
            out[0] = (char)CODEC_INTEGER32;
            memcpy(out + 1, &narrow, sizeof narrow);
            return 1 + sizeof narrow;
        }
        out[0] = (char)CODEC_INTEGER;
        memcpy(out + 1, &integer, sizeof integer);
        return 1 + sizeof integer;
    }
    switch (lua_type(L, index)) {
    case LUA_TNUMBER: {
        lua_Number number = lua_tonumberx(L, index, NULL);
        out[0] = (char)CODEC_FLOAT;
        memcpy(out + 1, &number, sizeof number);
        return 1 + sizeof number;
    }
    case LUA_TSTRING: {
        size_t length;
        const char *bytes = lua_tolstring(L, index, &length);
        if (length > CODEC_SHORT_STRING_MAX)
            return 0;
        out[0] = (char)(CODEC_SHORT_STRING + length);
        memcpy(out + 1, bytes, length);
        return 1 + length;
    }
    case LUA_TBOOLEAN:
        out[0] = (char)(lua_toboolean(L, index) ? CODEC_TRUE : CODEC_FALSE);
        return 1;
    case LUA_TNIL:
        out[0] = (char)CODEC_NIL;
        return 1;
    case LUA_TLIGHTUSERDATA:
        out[0] = (char)CODEC_NULL;
        return lua_touserdata(L, index) ? 0 : 1;
    default:
        return 0;
    }
}

/* codec_get where the tag is CODEC_STRING. */
static inline size_t codec_get_long_string(lua_State *L, const char *bytes, size_t length)
{
    uint64_t string_length;
    const size_t head = 1 + sizeof string_length;
    if (length < head)
        return 0;
    memcpy(&string_length, bytes + 1, sizeof string_length);
    if (string_length > length - head)
        return 0;
    lua_pushlstring(L, bytes + head, (size_t)string_length);
    return head + (size_t)string_length;
}

/* Pushes the value at the start of these bytes if it is a scalar, or a string of any length, that
 * lies within `length`. Returns the number of bytes it took, or 0, with nothing pushed, where
 * codec_decode is needed. Needs one free stack slot; raises only for lack of memory. */
static inline size_t codec_get(lua_State *L, const char *bytes, size_t length)
{
    if (length == 0)
        return 0;
    unsigned tag = (unsigned char)bytes[0];
    if (tag < CODEC_SHORT_STRING) {
        lua_pushinteger(L, (lua_Integer)tag);
        return 1;
    }
    if (tag < CODEC_NIL) {
        size_t string_length = tag - CODEC_SHORT_STRING;
        if (string_length > length - 1)
            return 0;
        lua_pushlstring(L, bytes + 1, string_length);
        return 1 + string_length;
    }
    switch (tag) {
    case CODEC_NIL:
        lua_pushnil(L);
        return 1;
    case CODEC_FALSE:
    case CODEC_TRUE:
        lua_pushboolean(L, tag == CODEC_TRUE);
        return 1;
    case CODEC_NULL:
        lua_pushlightuserdata(L, NULL);
        return 1;
    case CODEC_INTEGER32: {
        int32_t narrow;
        if (length < 1 + sizeof narrow)
            return 0;
        memcpy(&narrow, bytes + 1, sizeof narrow);
        lua_pushinteger(L, narrow);
        return 1 + sizeof narrow;
    }
    case CODEC_INTEGER: {
        lua_Integer integer;
        if (length < 1 + sizeof integer)
            return 0;
        memcpy(&integer, bytes + 1, sizeof integer);
        lua_pushinteger(L, integer);
        return 1 + sizeof integer;
    }
    case CODEC_FLOAT: {
        lua_Number number;
        if (length < 1 + sizeof number)
            return 0;
        memcpy(&number, bytes + 1, sizeof number);
        lua_pushnumber(L, number);
        return 1 + sizeof number;
    }
    case CODEC_STRING:
        return codec_get_long_string(L, bytes, length);
    default:
        return 0;
    }
}

#endif
