/* The value is visited twice: once to find what occurs in it more than once, then to write its
 * text. The keys of a table are written in order, so that equal values give equal bytes.
 *
 * Invariant, as in json_encode.c: a table that is being written, at depth d from 0, has the stack
 * slots base + 3d + 1 … + 3: the table, its sorted keys or nil, and the current key; the value of
 * that key is above. All memory belongs to Lua, so that an error may leave from anywhere. */
#include "files/bundle_encode.h"

#include <stdio.h>
#include <string.h>
#include <lauxlib.h>

#include "files/bundle.h"
#include "files/bundle_key.h"
#include "files/bundle_text.h"
#include "sparse/sparse.h"
#include "tensor/tensor.h"

#define WRITER_CLASS "lkrun.bundle.writer"

/* The note that the map `met` has for each table and matrix: how often it occurs, MET_ONCE or
 * MET_AGAIN. Once a value that occurs again was written, its note is NUMBERED plus its number,
 * counted from 0. */
enum { MET_ONCE = 1, MET_AGAIN, NUMBERED };

static struct identity *find(struct bundle_writer *w, const void *object)
{
    struct identity *met = identity_find(&w->met, object);
    if (!met)
        luaL_error(w->L, "not enough memory");
    return met;
}

/* ---- Values that occur in several places ---- */

/* Whether the table or matrix at the top of the stack is met for the first time. */
static bool note_meeting(struct bundle_writer *w)
{
    const void *object = lua_topointer(w->L, -1);
    struct identity *met = find(w, object);
    bool is_first = !met->object;
    *met = (struct identity){object, is_first ? MET_ONCE : MET_AGAIN};
    return is_first;
}

/* Notes the tables and matrices in the value at the top of the stack. What can't be saved is
 * refused later, when it is written. */
static void note_all(struct bundle_writer *w, int depth)
{
    lua_State *L = w->L;
    if (lua_type(L, -1) == LUA_TUSERDATA && sparse_test(L, -1))
        note_meeting(w);
    if (!lua_istable(L, -1) || !note_meeting(w) || depth == BUNDLE_MAX_DEPTH)
        return;
    luaL_checkstack(L, 12, "too many nested tables");
    lua_pushnil(L);
    while (lua_next(L, -2)) {
        note_all(w, depth + 1);
        lua_pop(L, 1);
    }
}

static void put_sparse(struct bundle_writer *w, const struct sparse *sparse)
{
    static const char *const parts[] = {"pointers", "columns", "values"};
    bundle_put(w, "{\"$sparse\":[");
    json_put_integer(&w->json, sparse->rows);
    bundle_put(w, ",");
    json_put_integer(&w->json, sparse->columns);
    for (int part = SPARSE_POINTERS; part <= SPARSE_VALUES; part++) {
        bundle_put(w, ",");
        lua_getiuservalue(w->L, -1, part);
        bundle_put_array(w, parts[part - SPARSE_POINTERS]);
        lua_pop(w->L, 1);
    }
    bundle_put(w, "]}");
}

/* ---- Tables ---- */

static void put_value(struct bundle_writer *w);

static void put_elements(struct bundle_writer *w, size_t count)
{
    lua_State *L = w->L;
    int table = lua_gettop(L);
    lua_pushnil(L);
    for (size_t i = 1; i <= count; i++) {
        if (i > 1)
            bundle_put(w, ",");
        lua_pushinteger(L, (lua_Integer)i);
        lua_rawgeti(L, table, (lua_Integer)i);
        put_value(w);
        lua_settop(L, table + 1);
    }
    lua_settop(L, table);
}

static void put_entries(struct bundle_writer *w, size_t count, const char *between)
{
    lua_State *L = w->L;
    int table = lua_gettop(L);
    const struct bundle_key *keys = bundle_push_keys(w, count);
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            bundle_put(w, ",");
        bundle_push_key(L, &keys[i]);
        bundle_put_scalar(w, -1);
        bundle_put(w, between);
        lua_pushvalue(L, -1);
        lua_rawget(L, table);
        put_value(w);
        lua_settop(L, table + 1);
    }
    lua_settop(L, table);
}

/* Writes the entries of the table at the top of the stack. */
static void put_content(struct bundle_writer *w)
{
    static const struct {
        const char *before, *between, *after;
        int levels;
    } forms[] = {
        [FORM_ARRAY] = {"[", NULL, "]", 1},
        [FORM_OBJECT] = {"{", ":", "}", 1},
        [FORM_PAIRS] = {"{\"$table\":[", ",", "]}", 2},
    };
    size_t count;
    enum bundle_form form = bundle_form_of(w, &count);
    w->level += forms[form].levels;
    if (w->level > BUNDLE_MAX_DEPTH)
        bundle_raise_here(w, "nested too deep to be saved");
    bundle_put(w, forms[form].before);
    w->json.depth++;
    if (form == FORM_ARRAY)
        put_elements(w, count);
    else
        put_entries(w, count, forms[form].between);
    w->json.depth--;
    bundle_put(w, forms[form].after);
    w->level -= forms[form].levels;
}

/* Writes the table or matrix at the top of the stack: where it occurs again, as $define the first
 * time and as $use from then on. */
static void put_object(struct bundle_writer *w, const struct sparse *sparse)
{
    char text[60];
    struct identity *met = find(w, lua_topointer(w->L, -1));
    bool is_shared = met->note == MET_AGAIN;
    if (met->note >= NUMBERED) {
        snprintf(text, sizeof text, "{\"$use\":%llu}",
                 (unsigned long long)(met->note - NUMBERED + 1));
        bundle_put(w, text);
        return;
    }
    if (is_shared) {
        met->note = NUMBERED + w->last_number++;
        snprintf(text, sizeof text,
                 "{\"$define\":%llu,\"as\":", (unsigned long long)w->last_number);
        bundle_put(w, text);
        w->level++;
    }
    if (sparse)
        put_sparse(w, sparse);
    else
        put_content(w);
    if (is_shared) {
        bundle_put(w, "}");
        w->level--;
    }
}

/* Writes the value at the top of the stack. */
static void put_value(struct bundle_writer *w)
{
    lua_State *L = w->L;
    luaL_checkstack(L, 16, "too many nested tables");
    if (bundle_put_scalar(w, -1))
        return;
    if (lua_istable(L, -1)) {
        if (lua_getmetatable(L, -1)) {
            lua_pop(L, 1);
            bundle_raise_kind(w);
        }
        put_object(w, NULL);
        return;
    }
    const struct sparse *sparse = sparse_test(L, -1);
    if (sparse) {
        put_object(w, sparse);
    } else if (tensor_test(L, -1)) {
        bundle_put(w, "{\"$tensor\":");
        bundle_put_array(w, "");
        bundle_put(w, "}");
    } else {
        bundle_raise_kind(w);
    }
}

/* ---- The manifest ---- */

static int collect_writer(lua_State *L)
{
    struct bundle_writer *w = lua_touserdata(L, 1);
    buffer_free(&w->text);
    if (w->has_map)
        identity_end(&w->met);
    w->has_map = false;
    return 0;
}

static struct bundle_writer *push_writer(lua_State *L)
{
    struct bundle_writer *w = lua_newuserdatauv(L, sizeof *w, 0);
    *w = (struct bundle_writer){.L = L, .has_map = true};
    identity_begin(&w->met);
    if (luaL_newmetatable(L, WRITER_CLASS)) {
        lua_pushcfunction(L, collect_writer);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    return w;
}

void bundle_encode(lua_State *L, int index, const char *path)
{
    index = lua_absindex(L, index);
    luaL_checkstack(L, 20, NULL);
    int top = lua_gettop(L);
    struct bundle_writer *w = push_writer(L);
    for (int i = 0; i < 3; i++)
        lua_newtable(L);
    w->path = path;
    w->arrays = top + 2, w->used_names = top + 3, w->tensor_name = top + 4;
    w->json = (struct json_writer){.L = L, .out = &w->text, .base = top + 4};
    w->level = 1;
    lua_pushvalue(L, index);
    note_all(w, 0);
    char text[100];
    snprintf(text, sizeof text,
             "{\"format\":\"" BUNDLE_FORMAT "\",\"version\":%d,\"model\":", BUNDLE_VERSION);
    bundle_put(w, text);
    put_value(w);
    bundle_put(w, "}\n");
    lua_pushlstring(L, w->text.data, w->text.length);
    lua_pushvalue(L, w->arrays);
    lua_rotate(L, top + 1, 2);
    lua_settop(L, top + 2);
}
