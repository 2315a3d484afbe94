/* Order: sort, argsort, topk. Every dtype is compared by an integer key that orders as its values
 * do, so there is one sort and one heap. Zeros of either sign are equal; not-a-number comes last
 * in both directions; equal elements keep their order. */
#include "tensor_class.h"

#include <string.h>

#include "tensor_walk.h"
#include "util.h"

struct entry {
    int64_t key;
    int64_t position;
};

#define LAST INT64_MIN /* below every key of a number when the greatest come first */

/* The bits of a positive float ascend with it, those of a negative one descend; both zeros give 0.
 */
static int64_t float_key(double x)
{
    if (x != x)
        return LAST;
    int64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits >= 0 ? bits : (int64_t)((uint64_t)INT64_MIN - (uint64_t)bits);
}

static int64_t key_of(enum dtype dtype, const char *at)
{
    switch (dtype) {
    case DTYPE_F64:
        return float_key(*(const double *)at);
    case DTYPE_F32:
        return float_key((double)*(const float *)at);
    case DTYPE_I64:
        return *(const int64_t *)at;
    case DTYPE_I32:
        return *(const int32_t *)at;
    default:
        return *(const uint8_t *)at;
    }
}

/* ---- Sorting ---- */

/* Merges the sorted runs from[0, middle) and from[middle, end). */
static void merge(const struct entry *from, int64_t middle, int64_t end, struct entry *to,
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

/* Stable; the result is in one of the two arrays, which is returned. */
static struct entry *sort_entries(struct entry *entries, struct entry *room, int64_t count,
                                  bool descending)
{
    for (int64_t run = 1; run < count; run *= 2) {
        for (int64_t first = 0; first < count; first += 2 * run) {
            int64_t end = count - first < 2 * run ? count - first : 2 * run;
            merge(entries + first, run < end ? run : end, end, room + first, descending);
        }
        struct entry *sorted = room;
        room = entries;
        entries = sorted;
    }
    return entries;
}

/* The positions of a vector's elements in order: entries in a userdata that is pushed. */
static const struct entry *ordered(lua_State *L, const struct tensor *tensor, bool descending,
                                   const char *where)
{
    if (tensor->dim != 1)
        raise_error(L, where, "a tensor of %s; a vector is expected",
                    shape_text(tensor->dim, tensor->size));
    if (tensor->count > PTRDIFF_MAX / 64)
        raise_error(L, where, "%lld elements are too many to sort", (long long)tensor->count);
    struct entry *entries =
        lua_newuserdatauv(L, 2 * (size_t)tensor->count * sizeof(struct entry) + 1, 0);
    bool is_float = dtype_is_float(tensor->dtype);
    for (int64_t i = 0; i < tensor->count; i++) {
        int64_t key = key_of(tensor->dtype, element_at(tensor, i * tensor->stride[0]));
        if (is_float && !descending && key == LAST)
            key = INT64_MAX;
        entries[i] = (struct entry){key, i};
    }
    return sort_entries(entries, entries + tensor->count, tensor->count, descending);
}

static int sort(lua_State *L)
{
    const struct tensor *tensor = tensor_argument(L, 1, "tensor:sort");
    const struct entry *order = ordered(L, tensor, lua_toboolean(L, 2), "tensor:sort");
    size_t element = dtype_sizes[tensor->dtype];
    char *to = tensor_data(tensor_like(L, tensor, tensor->dtype));
    for (int64_t i = 0; i < tensor->count; i++, to += element)
        copy_row(element, 1, to, 0, element_at(tensor, order[i].position * tensor->stride[0]), 0);
    return 1;
}

static int argsort(lua_State *L)
{
    const struct tensor *tensor = tensor_argument(L, 1, "tensor:argsort");
    const struct entry *order = ordered(L, tensor, lua_toboolean(L, 2), "tensor:argsort");
    int64_t *to = tensor_data(tensor_like(L, tensor, DTYPE_I64));
    for (int64_t i = 0; i < tensor->count; i++)
        to[i] = order[i].position + 1;
    return 1;
}

/* ---- The k greatest ---- */

/* A heap of the k best so far, the worst of them at its root: no entry is worse than its parent. */
struct heap {
    struct entry *entries;
    int64_t count;
};

static bool worse(const struct entry *a, const struct entry *b)
{
    return a->key < b->key || (a->key == b->key && a->position > b->position);
}

static void sift_down(struct heap *heap, int64_t hole, struct entry entry)
{
    for (;;) {
        int64_t child = 2 * hole + 1;
        if (child >= heap->count)
            break;
        if (child + 1 < heap->count && worse(&heap->entries[child + 1], &heap->entries[child]))
            child++;
        if (!worse(&heap->entries[child], &entry))
            break;
        heap->entries[hole] = heap->entries[child];
        hole = child;
    }
    heap->entries[hole] = entry;
}

static void offer(struct heap *heap, enum dtype dtype, const char *at, int64_t position)
{
    struct entry entry = {key_of(dtype, at), position};
    if (worse(&heap->entries[0], &entry))
        sift_down(heap, 0, entry);
}

/* Most of a long row is below the worst of the k best: blocks with nothing above it are passed
 * over with vector instructions, which no compiler makes of a loop over float comparisons. Gives
 * the position from which on elements must be offered singly: near the end of the row, or earlier
 * when not-a-number is still among the best. */
#define BLOCK 64
#define SCAN(name, type, id)                                                                       \
    typedef type name##_lanes __attribute__((vector_size(16), aligned(sizeof(type)), may_alias));  \
    static bool above_##name(const type *x, type limit)                                            \
    {                                                                                              \
        const name##_lanes *lanes = (const name##_lanes *)x;                                       \
        const int count = BLOCK * sizeof(type) / sizeof *lanes;                                    \
        __typeof__(*lanes > limit) any = lanes[0] > limit;                                         \
        for (int i = 1; i < count; i++)                                                            \
            any |= lanes[i] > limit;                                                               \
        int64_t halves[2];                                                                         \
        memcpy(halves, &any, sizeof halves);                                                       \
        return (halves[0] | halves[1]) != 0;                                                       \
    }                                                                                              \
    static int64_t scan_##name(struct heap *heap, const char *row, int64_t first, int64_t length)  \
    {                                                                                              \
        const type *x = (const type *)row;                                                         \
        type limit = x[heap->entries[0].position];                                                 \
        if (limit != limit)                                                                        \
            return first;                                                                          \
        for (; first + BLOCK <= length; first += BLOCK) {                                          \
            if (!above_##name(x + first, limit))                                                   \
                continue;                                                                          \
            for (int64_t i = first; i < first + BLOCK; i++) {                                      \
                if (!(x[i] > limit))                                                               \
                    continue;                                                                      \
                sift_down(heap, 0, (struct entry){key_of(id, (const char *)&x[i]), i});            \
                limit = x[heap->entries[0].position];                                              \
            }                                                                                      \
        }                                                                                          \
        return first;                                                                              \
    }
SCAN(f64, double, DTYPE_F64)
SCAN(f32, float, DTYPE_F32)
SCAN(i64, int64_t, DTYPE_I64)
SCAN(i32, int32_t, DTYPE_I32)
SCAN(u8, uint8_t, DTYPE_U8)

typedef int64_t (*scan_kernel)(struct heap *heap, const char *row, int64_t first, int64_t length);
static const scan_kernel scans[DTYPE_COUNT] = {scan_f64, scan_f32, scan_i64,
                                               scan_i32, scan_u8,  scan_u8};

/* Leaves the k best of a row in the heap's entries, the best first. */
static void find_best(struct heap *heap, int64_t k, enum dtype dtype, const char *row,
                      int64_t length, int64_t step)
{
    heap->count = k;
    for (int64_t i = 0; i < k; i++)
        heap->entries[i] = (struct entry){key_of(dtype, row + i * step), i};
    for (int64_t i = k / 2 - 1; i >= 0; i--)
        sift_down(heap, i, heap->entries[i]);
    bool contiguous = step == (int64_t)dtype_sizes[dtype];
    for (int64_t i = k; i < length; i++) {
        if (contiguous && i % BLOCK == 0)
            i = scans[dtype](heap, row, i, length);
        if (i < length)
            offer(heap, dtype, row + i * step, i);
    }
    while (heap->count > 1) {
        struct entry worst = heap->entries[0];
        heap->count--;
        sift_down(heap, 0, heap->entries[heap->count]);
        heap->entries[heap->count] = worst;
    }
}

static int topk(lua_State *L)
{
    const char *where = "tensor:topk";
    const struct tensor *tensor = tensor_argument(L, 1, where);
    int64_t k = integer_argument(L, 2, where, "k");
    if (tensor->dim == 0)
        raise_error(L, where, "the tensor is a scalar; at least one dimension is expected");
    int last = tensor->dim - 1;
    int64_t length = tensor->size[last];
    if (k < 0 || k > length)
        raise_error(L, where, "k is %lld; it is from 0 to the size of the last dimension, %lld",
                    (long long)k, (long long)length);
    int64_t size[TENSOR_MAX_DIM];
    memcpy(size, tensor->size, (size_t)tensor->dim * sizeof *size);
    size[last] = k;
    const struct tensor *values = tensor_new(L, tensor->dtype, tensor->dim, size, false);
    const struct tensor *indices = tensor_new(L, DTYPE_I64, tensor->dim, size, false);
    struct heap heap = {lua_newuserdatauv(L, (size_t)k * sizeof(struct entry) + 1, 0), 0};
    size_t element = dtype_sizes[tensor->dtype];
    char *value = tensor_data(values);
    int64_t *position = tensor_data(indices);
    for (struct rows rows = rows_along(tensor, last); rows.left && k; next_row(&rows)) {
        find_best(&heap, k, tensor->dtype, rows.at, length, rows.step);
        for (int64_t i = 0; i < k; i++, value += element) {
            copy_row(element, 1, value, 0, rows.at + heap.entries[i].position * rows.step, 0);
            *position++ = heap.entries[i].position + 1;
        }
    }
    lua_pop(L, 1);
    return 2;
}

const luaL_Reg tensor_sort_methods[] = {
    {"sort", sort}, {"argsort", argsort}, {"topk", topk}, {NULL, NULL}};
