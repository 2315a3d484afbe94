/* Lua values to bytes.
 *
 * Invariants: nothing here allocates in Lua or runs Lua code until the work memory is freed, so
 * that no error can jump over it and no table changes while it is traversed. There is no recursion:
 * every table that is being written is in `open`, and the table and its current key are two
 * slots of the Lua stack, from `base` + 1 on; the value of that key is above them. `out` ends where
 * the next byte belongs. */
#include "value/codec_encode.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/identity.h"
#include "base/value_text.h"
#include "memory/region.h"
#include "sparse/sparse.h"
#include "tensor/tensor.h"
#include "tensor/tensor_copy.h"
#include "value/codec_scalar.h"
#include "value/path.h"

#define INLINE_TABLES 32
/* A hole in the array part either costs a byte, as nil, or ends the array part that the receiver's
 * table gets. Holes are filled with nils while they are at most so many more than the values. */
#define HOLES_ALLOWED 32

/* A table that is being written. */
struct open_table {
    size_t header;  /* offset in `out` where `count` and `pairs` belong */
    uint32_t count; /* keys 1 … count are written as its array part */
    uint32_t holes; /* how many of those are nil */
    uint32_t pairs; /* the other keys so far */
};

struct codec_encoder {
    lua_State *L;
    const struct codec_port *port;
    struct buffer *out;
    size_t start; /* length of `out` when the encoding began */
    int base;     /* stack slots below the open tables */

    struct open_table *open; /* [depth], the innermost table last */
    size_t depth, open_room;
    struct open_table first_open[INLINE_TABLES];

    struct identity_map met; /* tables, tensors and matrices, with the positions of their tags */

    /* When the encoding has failed: what went wrong, or NULL where the value at the top of the
     * stack is of a type that can't be sent; and whether that value is a key. */
    const char *problem;
    bool in_key;
};

static bool fail(struct codec_encoder *e, const char *problem)
{
    e->problem = problem;
    return false;
}

static bool fail_memory(struct codec_encoder *e)
{
    return fail(e, "not enough memory to send it");
}

/* To be called before work memory is taken from the heap: from then on, looking up the class of
 * matrices must not allocate in Lua. It does not once Lua has interned the name of the class, which
 * nothing collects meanwhile. */
static void before_heap(struct codec_encoder *e)
{
    if (e->open == e->first_open && e->met.slots == e->met.first) {
        luaL_getmetatable(e->L, SPARSE_CLASS);
        lua_pop(e->L, 1);
    }
}

static bool push_open(struct codec_encoder *e, struct open_table table)
{
    if (e->depth == e->open_room) {
        before_heap(e);
        bool first = e->open == e->first_open;
        struct open_table *open = realloc(first ? NULL : e->open, 2 * e->open_room * sizeof *open);
        if (!open)
            return fail_memory(e);
        if (first)
            memcpy(open, e->first_open, sizeof e->first_open);
        e->open = open;
        e->open_room *= 2;
    }
    e->open[e->depth++] = table;
    return true;
}

/* Makes room for so many bytes, which the caller writes and then adds to out->length. NULL: out of
 * memory. */
static inline char *reserve(struct codec_encoder *e, size_t bytes)
{
    if (e->out->capacity - e->out->length < bytes && !buffer_reserve(e->out, bytes)) {
        fail_memory(e);
        return NULL;
    }
    return e->out->data + e->out->length;
}

/* Writes CODEC_AGAIN if the object at the top of the stack was written before; else notes that it
 * is written at the end of `out`. */
static bool put_again(struct codec_encoder *e, bool *again)
{
    if (e->met.count == IDENTITY_INLINE)
        before_heap(e);
    struct identity *met = identity_find(&e->met, lua_topointer(e->L, -1));
    if (!met)
        return fail_memory(e);
    *again = met->object != NULL;
    if (!*again) {
        *met = (struct identity){lua_topointer(e->L, -1), e->out->length - e->start};
        return true;
    }
    char *at = reserve(e, 1 + sizeof met->note);
    if (!at)
        return false;
    at[0] = (char)CODEC_AGAIN;
    memcpy(at + 1, &met->note, sizeof met->note);
    e->out->length += 1 + sizeof met->note;
    char *tag = e->out->data + e->start + met->note;
    *tag = (char)((unsigned char)*tag | 1); /* every _SHARED tag is its plain one plus 1 */
    return true;
}

_Static_assert(CODEC_TABLE % 2 == 0 && CODEC_TABLE_SHARED == CODEC_TABLE + 1, "put_again");
_Static_assert(CODEC_TENSOR % 2 == 0 && CODEC_TENSOR_SHARED == CODEC_TENSOR + 1, "put_again");
_Static_assert(CODEC_SPARSE % 2 == 0 && CODEC_SPARSE_SHARED == CODEC_SPARSE + 1, "put_again");

/* Copies the elements to an address that need not be aligned, with room for 8 bytes more. */
static void copy_unaligned(const struct tensor *tensor, char *at, size_t bytes)
{
    if (bytes == 0)
        return;
    if (tensor_is_contiguous(tensor)) {
        memcpy(at, tensor_data(tensor), bytes);
        return;
    }
    char *aligned = at + (-(uintptr_t)at & 7);
    tensor_copy_to(tensor, aligned);
    memmove(at, aligned, bytes);
}

static bool put_elements(struct codec_encoder *e, const struct tensor *tensor, char *placed)
{
    size_t bytes = (size_t)tensor->count * dtype_sizes[tensor->dtype];
    *placed = e->port && bytes > REGION_THRESHOLD;
    if (!*placed) {
        char *at = reserve(e, bytes + 8);
        if (!at)
            return false;
        copy_unaligned(tensor, at, bytes);
        e->out->length += bytes;
        return true;
    }
    uint64_t handle = 0;
    const char *error = NULL;
    void *memory = e->port->place(e->port->context, bytes, &handle, &error);
    if (!memory)
        return fail(e, error ? error : "no room for a tensor in the region");
    tensor_copy_to(tensor, memory);
    char *at = reserve(e, sizeof handle);
    if (!at)
        return false;
    memcpy(at, &handle, sizeof handle);
    e->out->length += sizeof handle;
    return true;
}

/* Writes the tensor at the top of the stack. */
static bool put_tensor(struct codec_encoder *e, const struct tensor *tensor)
{
    bool again;
    if (!put_again(e, &again))
        return false;
    if (again)
        return true;
    size_t sizes = (size_t)tensor->dim * sizeof tensor->size[0];
    char *at = reserve(e, 4 + sizes);
    if (!at)
        return false;
    at[0] = (char)CODEC_TENSOR;
    at[1] = (char)tensor->dtype;
    at[2] = (char)tensor->dim;
    if (sizes)
        memcpy(at + 4, tensor->size, sizes);
    size_t placed_at = e->out->length + 3;
    e->out->length += 4 + sizes;
    char placed;
    if (!put_elements(e, tensor, &placed))
        return false;
    e->out->data[placed_at] = placed;
    return true;
}

/* Writes the matrix at the top of the stack. */
static bool put_sparse(struct codec_encoder *e, const struct sparse *sparse)
{
    bool again;
    if (!put_again(e, &again))
        return false;
    if (again)
        return true;
    int64_t shape[2] = {sparse->rows, sparse->columns};
    char *at = reserve(e, 1 + sizeof shape);
    if (!at)
        return false;
    at[0] = (char)CODEC_SPARSE;
    memcpy(at + 1, shape, sizeof shape);
    e->out->length += 1 + sizeof shape;
    for (int part = SPARSE_POINTERS; part <= SPARSE_VALUES; part++) {
        lua_getiuservalue(e->L, -1, part);
        bool done = put_tensor(e, tensor_test(e->L, -1));
        lua_pop(e->L, 1);
        if (!done)
            return false;
    }
    return true;
}

static bool fail_type(struct codec_encoder *e)
{
    return fail(e, NULL);
}

static bool put_userdata(struct codec_encoder *e)
{
    const struct tensor *tensor = tensor_test(e->L, -1);
    if (tensor)
        return put_tensor(e, tensor);
    const struct sparse *sparse = sparse_test(e->L, -1);
    if (sparse)
        return put_sparse(e, sparse);
    return fail_type(e);
}

/* Writes the value at the top of the stack, which is not a table. */
static bool put_value(struct codec_encoder *e)
{
    lua_State *L = e->L;
    char *at = reserve(e, CODEC_SCALAR_MAX);
    if (!at)
        return false;
    size_t length = codec_put(L, -1, at);
    e->out->length += length;
    if (length)
        return true;
    switch (lua_type(L, -1)) {
    case LUA_TSTRING: {
        size_t string_length;
        const char *bytes = lua_tolstring(L, -1, &string_length);
        uint64_t wide = string_length;
        at = reserve(e, 1 + sizeof wide + string_length);
        if (!at)
            return false;
        at[0] = (char)CODEC_STRING;
        memcpy(at + 1, &wide, sizeof wide);
        memcpy(at + 1 + sizeof wide, bytes, string_length);
        e->out->length += 1 + sizeof wide + string_length;
        return true;
    }
    case LUA_TUSERDATA:
        return put_userdata(e);
    default:
        return fail_type(e);
    }
}

/* Begins the table at the top of the stack; if it was written before, pops it. */
static bool open_table(struct codec_encoder *e)
{
    lua_State *L = e->L;
    if (lua_getmetatable(L, -1)) {
        lua_pop(L, 1);
        return fail_type(e);
    }
    bool again;
    if (!put_again(e, &again))
        return false;
    if (again) {
        lua_pop(L, 1);
        return true;
    }
    if (e->depth == CODEC_MAX_DEPTH)
        return fail(e,
                    "nested too deep to be sent; expected at most " CODEC_MAX_DEPTH_TEXT " tables");
    if (!lua_checkstack(L, 8))
        return fail(e, "no room on the stack to send it");
    char *at = reserve(e, 9);
    if (!at)
        return false;
    at[0] = (char)CODEC_TABLE;
    if (!push_open(e, (struct open_table){e->out->length + 1, 0, 0, 0}))
        return false;
    e->out->length += 9;
    lua_pushnil(L);
    return true;
}

/* Whether the entry on the stack continues the array part of `now`. lua_next gives the keys of
 * Lua's own array part in ascending order, so an integer is the next key or follows a hole. A hole
 * below the border of the table (#t) is filled with nils, so that the receiver's table has the same
 * border. */
static bool extends_array(struct codec_encoder *e, struct open_table *now)
{
    lua_State *L = e->L;
    if (now->pairs > 0 || !lua_isinteger(L, -2))
        return false;
    lua_Integer key = lua_tointeger(L, -2);
    if (key <= (lua_Integer)now->count || key > (lua_Integer)UINT32_MAX)
        return false;
    uint32_t holes = (uint32_t)key - 1 - now->count;
    if (holes == 0) {
        now->count++;
        return true;
    }
    if (now->holes + (uint64_t)holes > now->count - now->holes + HOLES_ALLOWED)
        return false;
    if ((lua_Unsigned)key > lua_rawlen(L, -3))
        return false;
    char *at = reserve(e, holes);
    if (!at)
        return false; /* writing the entry as a pair will find, and report, the lack of memory */
    memset(at, CODEC_NIL, holes);
    e->out->length += holes;
    now->holes += holes;
    now->count = (uint32_t)key;
    return true;
}

static bool put_key(struct codec_encoder *e)
{
    char *at = reserve(e, CODEC_SCALAR_MAX);
    if (!at)
        return false;
    size_t length = codec_put(e->L, -2, at);
    e->out->length += length;
    if (length)
        return true;
    e->in_key = true;
    lua_pushvalue(e->L, -2);
    int type = lua_type(e->L, -1);
    if (type == LUA_TTABLE || type == LUA_TUSERDATA)
        return fail_type(e);
    if (!put_value(e))
        return false;
    lua_pop(e->L, 1);
    e->in_key = false;
    return true;
}

static void close_table(struct codec_encoder *e)
{
    struct open_table *now = &e->open[--e->depth];
    memcpy(e->out->data + now->header, &now->count, sizeof now->count);
    memcpy(e->out->data + now->header + 4, &now->pairs, sizeof now->pairs);
    lua_pop(e->L, 1);
}

/* Writes the value at the top of the stack with all that is in it, and pops it. */
static bool put_tree(struct codec_encoder *e)
{
    lua_State *L = e->L;
    if (lua_type(L, -1) != LUA_TTABLE) {
        if (!put_value(e))
            return false;
        lua_pop(L, 1);
        return true;
    }
    if (!open_table(e))
        return false;
    while (e->depth > 0) {
        struct open_table *now = &e->open[e->depth - 1];
        if (!lua_next(L, -2)) {
            close_table(e);
            continue;
        }
        if (!extends_array(e, now)) {
            if (!put_key(e))
                return false;
            now->pairs++;
        }
        char *at = reserve(e, CODEC_SCALAR_MAX);
        if (!at)
            return false;
        size_t length = codec_put(L, -1, at);
        e->out->length += length;
        if (length == 0 && lua_type(L, -1) == LUA_TTABLE) {
            if (!open_table(e))
                return false;
            continue;
        }
        if (length == 0 && !put_value(e))
            return false;
        lua_pop(L, 1);
    }
    return true;
}

/* Pushes the message of what failed, and removes all that the encoding has on the stack. */
static void push_problem(struct codec_encoder *e, const char *root, int ordinal)
{
    lua_State *L = e->L;
    char path[PATH_SIZE], numbered[240];
    if (ordinal > 1)
        snprintf(numbered, sizeof numbered, "%.200s#%d", root, ordinal);
    size_t keys = e->depth - (e->in_key ? 1 : 0);
    path_write(L, ordinal > 1 ? numbered : root, e->base + 2, 2, keys, path);
    if (e->problem) {
        lua_settop(L, e->base);
        lua_pushfstring(L, "%s: %s", path, e->problem);
        return;
    }
    if (e->in_key)
        lua_pushfstring(L, "%s: a table key that is %s cannot be sent", path, type_text(L, -1));
    else if (lua_istable(L, -1))
        lua_pushfstring(L, "%s: a table with a metatable cannot be sent", path);
    else
        lua_pushfstring(L, "%s: %s cannot be sent", path, type_text(L, -1));
    lua_insert(L, e->base + 1);
    lua_settop(L, e->base + 1);
}

static void free_memory(struct codec_encoder *e)
{
    if (e->open != e->first_open)
        free(e->open);
    identity_end(&e->met);
}

/* Encodes the values after the first `done`; the next one is not a scalar. */
static bool encode_rest(lua_State *L, int first, int done, int count, const char *root,
                        const struct codec_port *port, struct buffer *out, size_t start)
{
    struct codec_encoder e;
    e.L = L;
    e.port = port;
    e.out = out;
    e.start = start;
    e.base = lua_gettop(L);
    e.open = e.first_open;
    e.open_room = INLINE_TABLES;
    e.depth = 0;
    identity_begin(&e.met);
    e.problem = NULL;
    e.in_key = false;
    bool room = lua_checkstack(L, 8) || fail(&e, "no room on the stack to send it");
    for (; room && done < count; done++) {
        lua_pushvalue(L, first + done);
        if (!put_tree(&e))
            break;
    }
    free_memory(&e);
    if (done == count)
        return true;
    out->length = start;
    push_problem(&e, root, done + 1);
    return false;
}

bool codec_encode(lua_State *L, int first, int count, const char *root,
                  const struct codec_port *port, struct buffer *out)
{
    size_t start = out->length;
    first = lua_absindex(L, first);
    for (int done = 0; done < count; done++) {
        if (!buffer_reserve(out, CODEC_SCALAR_MAX)) {
            out->length = start;
            lua_pushfstring(L, "%s: not enough memory to send it", root);
            return false;
        }
        size_t length = codec_put(L, first + done, out->data + out->length);
        if (length == 0)
            return encode_rest(L, first, done, count, root, port, out, start);
        out->length += length;
    }
    return true;
}
