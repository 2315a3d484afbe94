#include "files/bundle_key.h"

#include <stdlib.h>
#include <string.h>

#include "base/value_text.h"
#include "files/bundle_text.h"

static int compare_keys(const void *left, const void *right)
{
    const struct bundle_key *a = left, *b = right;
    if (a->rank != b->rank)
        return a->rank < b->rank ? -1 : 1;
    if (a->rank == KEY_STRING) {
        int order = memcmp(a->bytes, b->bytes, a->length < b->length ? a->length : b->length);
        return order ? order : (a->length > b->length) - (a->length < b->length);
    }
    if (a->is_integer && b->is_integer)
        return (a->integer > b->integer) - (a->integer < b->integer);
    /* A float key never equals an integer key, but a large integer may be rounded to the same
     * number here; the integer comes first then. */
    int order = (a->number > b->number) - (a->number < b->number);
    return order ? order : (int)b->is_integer - (int)a->is_integer;
}

static int raise_key(struct bundle_writer *w)
{
    return bundle_raise_here(
        w, lua_pushfstring(w->L, "a table key that is %s cannot be saved", type_text(w->L, -1)));
}

/* The key at the top of the stack. */
static struct bundle_key key_of(struct bundle_writer *w)
{
    lua_State *L = w->L;
    struct bundle_key key = {0};
    int type = lua_type(L, -1);
    if (type == LUA_TBOOLEAN) {
        key.integer = lua_toboolean(L, -1);
        key.is_integer = true;
    } else if (type == LUA_TNUMBER) {
        key.rank = KEY_NUMBER;
        key.is_integer = lua_isinteger(L, -1);
        key.integer = key.is_integer ? lua_tointeger(L, -1) : 0;
        key.number = lua_tonumber(L, -1);
    } else if (type == LUA_TSTRING) {
        key.rank = KEY_STRING;
        key.bytes = lua_tolstring(L, -1, &key.length);
    } else if (type == LUA_TLIGHTUSERDATA && !lua_touserdata(L, -1)) {
        key.rank = KEY_NULL;
    } else {
        raise_key(w);
    }
    return key;
}

void bundle_push_key(lua_State *L, const struct bundle_key *key)
{
    if (key->rank == KEY_BOOLEAN)
        lua_pushboolean(L, (int)key->integer);
    else if (key->rank == KEY_NULL)
        lua_pushlightuserdata(L, NULL);
    else if (key->rank == KEY_STRING)
        lua_pushlstring(L, key->bytes, key->length);
    else if (key->is_integer)
        lua_pushinteger(L, key->integer);
    else
        lua_pushnumber(L, key->number);
}

/* Whether it can be the key of a JSON object. Jansson has no keys with a NUL byte. */
static bool is_object_key(const struct bundle_key *key)
{
    return key->rank == KEY_STRING && (key->length == 0 || key->bytes[0] != '$') &&
           !memchr(key->bytes, 0, key->length) && json_is_text(key->bytes, key->length);
}

enum bundle_form bundle_form_of(struct bundle_writer *w, size_t *count)
{
    lua_State *L = w->L;
    lua_Unsigned elements = lua_rawlen(L, -1);
    bool is_array = true, is_object = true;
    *count = 0;
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        lua_pop(L, 1);
        ++*count;
        struct bundle_key key = key_of(w);
        is_array &= key.rank == KEY_NUMBER && key.is_integer && key.integer >= 1 &&
                    (lua_Unsigned)key.integer <= elements;
        is_object &= is_object_key(&key);
    }
    return is_array && *count == elements ? FORM_ARRAY : is_object ? FORM_OBJECT : FORM_PAIRS;
}

struct bundle_key *bundle_push_keys(struct bundle_writer *w, size_t count)
{
    lua_State *L = w->L;
    int table = lua_gettop(L);
    struct bundle_key *keys = lua_newuserdatauv(L, count * sizeof *keys, 0);
    lua_pushnil(L);
    for (size_t i = 0; i < count && lua_next(L, table); i++) {
        lua_pop(L, 1);
        keys[i] = key_of(w);
    }
    lua_settop(L, table + 1);
    qsort(keys, count, sizeof *keys, compare_keys);
    return keys;
}
