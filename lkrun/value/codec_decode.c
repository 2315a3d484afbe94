/* The bytes may come from anybody: what they claim is checked before it is believed.
 *
 * Invariants: nothing is held outside Lua, so that an error may leave from anywhere. There is no
 * recursion: a table that waits for one of its values lies on the Lua stack below that value, with
 * its key if the value belongs to a pair, and the state in which it waits as two integers. The
 * entries that all open tables still need (`entries_owed`) are never more than there are bytes
 * left, so that what is allocated stays in proportion to the bytes. */
#include "value/codec_decode.h"

#include <limits.h>
#include <string.h>

#include "memory/storage.h"
#include "sparse/sparse.h"
#include "tensor/tensor.h"
#include "value/codec_scalar.h"

struct codec_decoder {
    lua_State *L;
    const struct codec_port *port;
    const char *start, *at, *end;
    int base;            /* stack slots below the values, and below the table of has_again */
    bool has_again;      /* slot base + 1 is a table of the objects by position */
    size_t entries_owed; /* entries that the waiting tables still need */
    /* Why decoding failed: a static text, one of the port's, or a string on the stack. */
    const char *problem;
};

/* A table that is being filled. */
struct filling {
    uint32_t next, count; /* of the array part: the last key set so far, the last key of all */
    uint32_t pairs;       /* that are still to come after the array part */
};

static bool fail(struct codec_decoder *d, const char *problem)
{
    d->problem = problem;
    return false;
}

static size_t bytes_left(const struct codec_decoder *d)
{
    return (size_t)(d->end - d->at);
}

static bool take(struct codec_decoder *d, void *into, size_t bytes)
{
    if (bytes_left(d) < bytes)
        return fail(d, "it ends in the middle of a value");
    memcpy(into, d->at, bytes);
    d->at += bytes;
    return true;
}

/* Notes that the object at the top of the stack is the one at this position of the encoding. */
static void remember(struct codec_decoder *d, size_t position)
{
    lua_State *L = d->L;
    if (!d->has_again) {
        lua_newtable(L);
        lua_insert(L, d->base + 1);
        d->has_again = true;
    }
    lua_pushvalue(L, -1);
    lua_rawseti(L, d->base + 1, (lua_Integer)position);
}

static bool push_again(struct codec_decoder *d)
{
    uint64_t position;
    if (!take(d, &position, sizeof position))
        return false;
    if (d->has_again && position <= (uint64_t)(d->end - d->start) &&
        lua_rawgeti(d->L, d->base + 1, (lua_Integer)position) != LUA_TNIL)
        return true;
    return fail(d, "it refers to a value that is not there");
}

/* Calls the function that lies on the stack below its arguments. An error that it raises becomes
 * the problem. */
static bool protect(struct codec_decoder *d, int arguments)
{
    if (lua_pcall(d->L, arguments, 1, 0) == LUA_OK)
        return true;
    const char *message = lua_tostring(d->L, -1);
    return fail(d, message ? message : "an error without a message");
}

/* What the bytes say about a tensor. */
struct tensor_description {
    enum dtype dtype;
    int dim;
    int64_t size[TENSOR_MAX_DIM];
    size_t bytes;
    struct storage *storage;
};

static bool take_description(struct codec_decoder *d, struct tensor_description *description,
                             bool *placed)
{
    uint8_t head[3]; /* dtype, dimensions, placed */
    if (!take(d, head, sizeof head))
        return false;
    if (head[0] >= DTYPE_COUNT || head[1] > TENSOR_MAX_DIM || head[2] > 1)
        return fail(d, "a tensor in it has no such dtype or dimensions");
    description->dtype = (enum dtype)head[0];
    description->dim = head[1];
    *placed = head[2];
    if (!take(d, description->size, head[1] * sizeof description->size[0]))
        return false;
    /* No tensor has sizes whose product, zeros left out, is more than memory could hold. */
    const int64_t largest = PTRDIFF_MAX / (int64_t)sizeof(double);
    int64_t count = 1;
    bool empty = false;
    for (int i = 0; i < description->dim; i++) {
        int64_t size = description->size[i];
        if (size < 0 || (size > 0 && count > largest / size))
            return fail(d, "a tensor in it has no possible size");
        if (size == 0)
            empty = true;
        else
            count *= size;
    }
    description->bytes = empty ? 0 : (size_t)count * dtype_sizes[description->dtype];
    return true;
}

static bool push_inline_tensor(struct codec_decoder *d,
                               const struct tensor_description *description)
{
    if (description->bytes > bytes_left(d))
        return fail(d, "it ends in the middle of a tensor");
    if (description->dtype == DTYPE_BOOL)
        for (size_t i = 0; i < description->bytes; i++)
            if ((unsigned char)d->at[i] > 1)
                return fail(d, "a bool in it is neither true nor false");
    struct tensor *tensor =
        tensor_new(d->L, description->dtype, description->dim, description->size, false);
    if (description->bytes)
        memcpy(tensor_data(tensor), d->at, description->bytes);
    d->at += description->bytes;
    return true;
}

static int view_storage(lua_State *L)
{
    const struct tensor_description *description = lua_touserdata(L, 1);
    tensor_press_collector(L, description->bytes);
    tensor_view(L, description->storage, description->dtype, 0, description->dim, description->size,
                NULL);
    return 1;
}

static bool push_placed_tensor(struct codec_decoder *d, struct tensor_description *description)
{
    uint64_t handle;
    if (!take(d, &handle, sizeof handle))
        return false;
    if (!d->port)
        return fail(d, "a tensor in it lies elsewhere");
    const char *error = NULL;
    description->storage = d->port->fetch(d->port->context, handle, description->bytes, &error);
    if (!description->storage)
        return fail(d, error ? error : "a tensor in it is not there any more");
    bool done = false;
    if (description->storage->bytes < description->bytes) {
        fail(d, "a tensor in it is larger than its storage");
    } else {
        lua_pushcfunction(d->L, view_storage);
        lua_pushlightuserdata(d->L, description);
        done = protect(d, 1); /* so that an error does not skip the release below */
    }
    storage_release(description->storage);
    return done;
}

/* Pushes the tensor whose tag was just taken, at `position`. */
static bool push_tensor(struct codec_decoder *d, bool shared, size_t position)
{
    struct tensor_description description;
    bool placed;
    if (!take_description(d, &description, &placed))
        return false;
    if (!(placed ? push_placed_tensor(d, &description) : push_inline_tensor(d, &description)))
        return false;
    if (shared)
        remember(d, position);
    return true;
}

static int make_sparse(lua_State *L)
{
    sparse_push(L, lua_tointeger(L, 4), lua_tointeger(L, 5), 1, 2, 3);
    return 1;
}

static bool push_sparse(struct codec_decoder *d, bool shared, size_t position)
{
    lua_State *L = d->L;
    int64_t shape[2];
    if (!take(d, shape, sizeof shape))
        return false;
    lua_pushcfunction(L, make_sparse);
    for (int part = 0; part < 3; part++) {
        size_t part_position = (size_t)(d->at - d->start);
        unsigned char tag;
        if (!take(d, &tag, 1))
            return false;
        bool tensor = tag == CODEC_TENSOR || tag == CODEC_TENSOR_SHARED;
        if (tensor ? !push_tensor(d, tag == CODEC_TENSOR_SHARED, part_position)
                   : tag != CODEC_AGAIN || !push_again(d))
            return d->problem ? false : fail(d, "a matrix in it has a part that is not a tensor");
    }
    lua_pushinteger(L, shape[0]);
    lua_pushinteger(L, shape[1]);
    if (!protect(d, 5))
        return false;
    if (shared)
        remember(d, position);
    return true;
}

/* Pushes the next value; if it is a table, only takes its tag and sets *table. */
static bool push_value(struct codec_decoder *d, bool *table)
{
    *table = false;
    size_t length = codec_get(d->L, d->at, bytes_left(d));
    d->at += length;
    if (length)
        return true;
    size_t position = (size_t)(d->at - d->start);
    unsigned char tag;
    if (!take(d, &tag, 1))
        return false;
    switch (tag) {
    case CODEC_TABLE:
    case CODEC_TABLE_SHARED:
        *table = true;
        return true;
    case CODEC_TENSOR:
    case CODEC_TENSOR_SHARED:
        return push_tensor(d, tag == CODEC_TENSOR_SHARED, position);
    case CODEC_SPARSE:
    case CODEC_SPARSE_SHARED:
        return push_sparse(d, tag == CODEC_SPARSE_SHARED, position);
    case CODEC_AGAIN:
        return push_again(d);
    default:
        return fail(d, tag < CODEC_TAG_END ? "it ends in the middle of a value"
                                           : "a value in it is of no known kind");
    }
}

/* Pushes the table whose tag was just taken, still empty. */
static bool open_table(struct codec_decoder *d, struct filling *now)
{
    size_t position = (size_t)(d->at - d->start) - 1;
    bool shared = (unsigned char)d->at[-1] == CODEC_TABLE_SHARED;
    uint32_t counts[2];
    if (!take(d, counts, sizeof counts))
        return false;
    if (counts[0] + 2 * (uint64_t)counts[1] + d->entries_owed > bytes_left(d))
        return fail(d, "it ends in the middle of a table");
    if (counts[0] > INT_MAX || counts[1] > INT_MAX)
        return fail(d, "a table in it is too large");
    if (!lua_checkstack(d->L, 12))
        return fail(d, "it is nested too deep");
    *now = (struct filling){0, counts[0], counts[1]};
    lua_createtable(d->L, (int)counts[0], (int)counts[1]);
    if (shared)
        remember(d, position);
    return true;
}

/* Sets the value at the top of the stack in the table below it: under the next key of the array
 * part, or under the key between the two. */
static void store(lua_State *L, struct filling *now)
{
    if (now->next < now->count) {
        lua_rawseti(L, -2, ++now->next);
    } else {
        now->pairs--;
        lua_rawset(L, -3);
    }
}

static bool push_key(struct codec_decoder *d)
{
    size_t length = codec_get(d->L, d->at, bytes_left(d));
    d->at += length;
    if (length == 0 || lua_isnil(d->L, -1) ||
        (lua_type(d->L, -1) == LUA_TNUMBER && !lua_rawequal(d->L, -1, -1)))
        return fail(d, "a key in it is of a kind that is not a key");
    return true;
}

/* How many entries `now` needs after the one that it waits for. */
static size_t entries_after(const struct filling *now)
{
    size_t entries = now->count - now->next + 2 * (size_t)now->pairs;
    return entries - (now->next < now->count ? 1 : 2);
}

/* Leaves the table on the stack, with its state above it, until the table that is its next value is
 * complete. */
static void suspend(struct codec_decoder *d, const struct filling *now)
{
    d->entries_owed += entries_after(now);
    lua_pushinteger(d->L, (lua_Integer)((uint64_t)now->next << 32 | now->count));
    lua_pushinteger(d->L, now->pairs);
}

/* Continues with the table that waits for the one at the top of the stack. */
static void resume(struct codec_decoder *d, struct filling *now)
{
    lua_State *L = d->L;
    uint64_t array = (uint64_t)lua_tointeger(L, -3);
    *now =
        (struct filling){(uint32_t)(array >> 32), (uint32_t)array, (uint32_t)lua_tointeger(L, -2)};
    d->entries_owed -= entries_after(now);
    lua_replace(L, -3);
    lua_pop(L, 1);
}

/* Pushes the table whose tag was just taken, with all its entries. */
static bool push_table(struct codec_decoder *d)
{
    struct filling now;
    if (!open_table(d, &now))
        return false;
    for (size_t waiting = 0;;) {
        if (now.next == now.count && now.pairs == 0) {
            if (waiting == 0)
                return true;
            waiting--;
            resume(d, &now);
            store(d->L, &now);
            continue;
        }
        bool table;
        if (now.next == now.count && !push_key(d))
            return false;
        if (!push_value(d, &table))
            return false;
        if (!table) {
            store(d->L, &now);
            continue;
        }
        suspend(d, &now);
        if (!open_table(d, &now))
            return false;
        waiting++;
    }
}

/* Decodes the values from `at` on. The `done` values before it lie on the stack; the next one is
 * not a scalar, or the stack has no room for it. */
static int decode_rest(lua_State *L, const char *start, const char *at, const char *end, int done,
                       const struct codec_port *port)
{
    struct codec_decoder d = {.L = L, .port = port, .start = start, .at = at, .end = end};
    d.base = lua_gettop(L) - done;
    while (d.at < d.end) {
        bool table;
        if (!lua_checkstack(L, 12)) {
            fail(&d, "it holds too many values");
            break;
        }
        if (!push_value(&d, &table) || (table && !push_table(&d)))
            break;
        done++;
    }
    if (d.problem) {
        lua_pushfstring(L, "not an encoded value: %s (at byte %I of %I)", d.problem,
                        (lua_Integer)(d.at - d.start), (lua_Integer)(d.end - d.start));
        lua_insert(L, d.base + 1);
        lua_settop(L, d.base + 1);
        return -1;
    }
    if (d.has_again)
        lua_remove(L, d.base + 1);
    return done;
}

int codec_decode(lua_State *L, const void *bytes, size_t length, const struct codec_port *port)
{
    if (length == 0)
        return 0;
    const char *start = bytes;
    const char *at = start, *end = start + length;
    for (int done = 0;; done++) {
        if (!lua_checkstack(L, 2))
            return decode_rest(L, start, at, end, done, port);
        size_t taken = codec_get(L, at, (size_t)(end - at));
        if (taken == 0)
            return decode_rest(L, start, at, end, done, port);
        at += taken;
        if (at == end)
            return done + 1;
    }
}
