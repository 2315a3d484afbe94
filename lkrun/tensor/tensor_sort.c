/* Order: sort, argsort, topk. Every dtype is compared by the integer keys of best.c, so one
 * sort and one selection serve all. Zeros of either sign are equal; not-a-number comes last in both
 * directions; equal elements keep their order. */
#include <string.h>
#include <lauxlib.h>

#include "base/util.h"
#include "tensor/best.h"
#include "tensor/tensor_argument.h"
#include "tensor/tensor_copy.h"
#include "tensor/tensor_walk.h"

/* ---- Sorting ---- */

/* Merges the sorted runs from[0, middle) and from[middle, end). */
static void merge(const struct best_entry *from, int64_t middle, int64_t end, struct best_entry *to,
                  bool descending)
{
    int64_t left = 0, right = middle;
    for (int64_t i = 0; i < end; i++) {
        bool take_right = left == middle;
        if (!take_right && right < end)
            take_right =
                descending ? from[right].key > from[left].key : from[right].key < from[left].key;
        to[i] = take_right ? from[right++] : from[left++];
    }
}

/* A stable merge sort. Returns the one of the two arrays that holds the result. */
static struct best_entry *sort_entries(struct best_entry *entries, struct best_entry *room,
                                       int64_t count, bool descending)
{
    for (int64_t run = 1; run < count; run *= 2) {
        for (int64_t first = 0; first < count; first += 2 * run) {
            int64_t end = count - first < 2 * run ? count - first : 2 * run;
            merge(entries + first, run < end ? run : end, end, room + first, descending);
        }
        struct best_entry *sorted = room;
        room = entries;
        entries = sorted;
    }
    return entries;
}

/* The elements of a vector in order, as entries in a userdata that is pushed. */
static const struct best_entry *ordered(lua_State *L, const struct tensor *tensor, bool descending,
                                        const char *where)
{
    if (tensor->dim != 1)
        raise_error(L, where, "a tensor of %s; expected a vector",
                    shape_text(tensor->dim, tensor->size));
    if (tensor->count > PTRDIFF_MAX / 64)
        raise_error(L, where, "%lld elements, which are too many to sort",
                    (long long)tensor->count);
    struct best_entry *entries =
        lua_newuserdatauv(L, 2 * (size_t)tensor->count * sizeof(struct best_entry) + 1, 0);
    bool is_float = dtype_is_float(tensor->dtype);
    for (int64_t i = 0; i < tensor->count; i++) {
        int64_t key = best_key(tensor->dtype, element_at(tensor, i * tensor->stride[0]));
        /* No float has a key as great as this, so not-a-number comes last. */
        if (is_float && !descending && key == BEST_NAN)
            key = INT64_MAX;
        entries[i] = (struct best_entry){key, i};
    }
    return sort_entries(entries, entries + tensor->count, tensor->count, descending);
}

static int sort(lua_State *L)
{
    const struct tensor *tensor = tensor_argument(L, 1, "tensor:sort");
    const struct best_entry *order = ordered(L, tensor, lua_toboolean(L, 2), "tensor:sort");
    size_t element = dtype_sizes[tensor->dtype];
    char *to = tensor_data(tensor_like(L, tensor, tensor->dtype));
    for (int64_t i = 0; i < tensor->count; i++, to += element)
        copy_row(element, 1, to, 0, element_at(tensor, order[i].position * tensor->stride[0]), 0);
    return 1;
}

static int argsort(lua_State *L)
{
    const struct tensor *tensor = tensor_argument(L, 1, "tensor:argsort");
    const struct best_entry *order = ordered(L, tensor, lua_toboolean(L, 2), "tensor:argsort");
    int64_t *to = tensor_data(tensor_like(L, tensor, DTYPE_I64));
    for (int64_t i = 0; i < tensor->count; i++)
        to[i] = order[i].position + 1;
    return 1;
}

/* ---- The k greatest ---- */

static int topk(lua_State *L)
{
    const char *where = "tensor:topk";
    const struct tensor *tensor = tensor_argument(L, 1, where);
    int64_t k = integer_argument(L, 2, where, "k");
    if (tensor->dim == 0)
        raise_error(L, where, "the tensor is a scalar; expected at least one dimension");
    int last = tensor->dim - 1;
    int64_t length = tensor->size[last];
    if (k < 0 || k > length)
        raise_error(L, where, "k is %lld; expected from 0 to the size of the last dimension, %lld",
                    (long long)k, (long long)length);
    int64_t size[TENSOR_MAX_DIM];
    memcpy(size, tensor->size, (size_t)tensor->dim * sizeof *size);
    size[last] = k;
    const struct tensor *values = tensor_new(L, tensor->dtype, tensor->dim, size, false);
    const struct tensor *indices = tensor_new(L, DTYPE_I64, tensor->dim, size, false);
    struct best best = {.most = k};
    best.entries = lua_newuserdatauv(L, (size_t)best_room(k) * sizeof(struct best_entry), 0);
    size_t element = dtype_sizes[tensor->dtype];
    char *value = tensor_data(values);
    int64_t *position = tensor_data(indices);
    for (struct rows rows = rows_along(tensor, last); rows.remaining && k; next_row(&rows)) {
        best_begin(&best);
        best_offer(&best, tensor->dtype, rows.at, length, rows.step, 0);
        best_end(&best);
        for (int64_t i = 0; i < k; i++, value += element) {
            copy_row(element, 1, value, 0, rows.at + best.entries[i].position * rows.step, 0);
            *position++ = best.entries[i].position + 1;
        }
    }
    lua_pop(L, 1);
    return 2;
}

const luaL_Reg tensor_sort_methods[] = {
    {"sort", sort}, {"argsort", argsort}, {"topk", topk}, {NULL, NULL}};
