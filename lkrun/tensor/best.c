/* Invariant of a struct best: its entries include the `most` best of all numbers offered so far,
 * or all numbers if fewer were offered. Once there is a limit, `most` of the entries are at
 * least as good as the limit and were offered before all numbers to come, so only numbers above
 * the limit are added. When the entries are full, the worst are dropped and the limit rises.
 * Numbers of every dtype are compared by integer keys that have the same order. */
#include "tensor/best.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif

/* Functions that the AVX kernels call are always inlined, so that each copy is compiled for the
 * vectors of its kernel. */
#define INLINE static inline __attribute__((always_inline))

/* ---- Keys ---- */

/* Read as integers, the bits of positive floats ascend with the float, and those of negative floats
 * descend. Subtracting the latter from INT64_MIN makes them ascend too, and maps -0.0 to 0. */
INLINE int64_t float_key(double x)
{
    if (x != x)
        return BEST_NAN;
    int64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits >= 0 ? bits : (int64_t)((uint64_t)INT64_MIN - (uint64_t)bits);
}

INLINE double float_of(int64_t key)
{
    if (key == BEST_NAN)
        return NAN;
    int64_t bits = key >= 0 ? key : (int64_t)((uint64_t)INT64_MIN - (uint64_t)key);
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

double best_float(int64_t key)
{
    return float_of(key);
}

INLINE int64_t key_of(enum dtype dtype, const void *at)
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

int64_t best_key(enum dtype dtype, const void *at)
{
    return key_of(dtype, at);
}

/* ---- Order ---- */

#define SHORT 16 /* up to this many entries are sorted by insertion */

/* Whether entry a comes before entry b. There is no branch, because it could not be predicted. */
INLINE bool better(struct best_entry a, struct best_entry b)
{
    return (a.key > b.key) | ((a.key == b.key) & (a.position < b.position));
}

INLINE void exchange(struct best_entry *a, struct best_entry *b)
{
    struct best_entry entry = *a;
    *a = *b;
    *b = entry;
}

INLINE void sort_by_insertion(struct best_entry *entries, int64_t count)
{
    for (int64_t i = 1; i < count; i++) {
        struct best_entry entry = entries[i];
        int64_t place = i;
        for (; place > 0 && better(entry, entries[place - 1]); place--)
            entries[place] = entries[place - 1];
        entries[place] = entry;
    }
}

/* Moves the median of three entries to its place in the order and returns that place: better
 * entries are before it, the others after it. */
INLINE int64_t partition(struct best_entry *entries, int64_t count)
{
    struct best_entry *first = entries, *middle = entries + count / 2, *last = entries + count - 1;
    if (better(*middle, *first))
        exchange(middle, first);
    if (better(*last, *first))
        exchange(last, first);
    if (better(*last, *middle))
        exchange(last, middle);
    exchange(middle, last);
    struct best_entry pivot = *last;
    int64_t place = 0;
    for (int64_t i = 0; i < count - 1; i++) {
        struct best_entry entry = entries[i];
        entries[i] = entries[place];
        entries[place] = entry;
        place += better(entry, pivot);
    }
    exchange(&entries[place], last);
    return place;
}

/* Moves the `most` best entries to the front, in any order. */
INLINE void select_best(struct best_entry *entries, int64_t count, int64_t most)
{
    while (count > SHORT) {
        int64_t place = partition(entries, count);
        if (place == most || place + 1 == most)
            return;
        if (place > most) {
            count = place;
        } else {
            entries += place + 1;
            count -= place + 1;
            most -= place + 1;
        }
    }
    sort_by_insertion(entries, count);
}

static void sort(struct best_entry *entries, int64_t count)
{
    while (count > SHORT) {
        int64_t place = partition(entries, count), after = count - place - 1;
        /* Recursing into the shorter part only keeps the depth logarithmic. */
        if (place < after) {
            sort(entries, place);
            entries += place + 1;
            count = after;
        } else {
            sort(entries + place + 1, after);
            count = place;
        }
    }
    sort_by_insertion(entries, count);
}

/* ---- Taking numbers ---- */

/* Room for at least as many entries again as are kept, so that raise_limit, which visits every
 * entry, is called at most once in `most` additions. */
int64_t best_room(int64_t most)
{
    return most + (most > SHORT ? most : SHORT);
}

void best_begin(struct best *best)
{
    best->count = 0;
    best->is_limited = false;
}

/* Drops all but the `most` best entries; the least key among these becomes the limit. */
INLINE void raise_limit(struct best *best)
{
    select_best(best->entries, best->count, best->most);
    best->count = best->most;
    int64_t limit = best->entries[0].key;
    for (int64_t i = 1; i < best->count; i++)
        limit = best->entries[i].key < limit ? best->entries[i].key : limit;
    best->limit = limit;
    best->is_limited = true;
}

void best_end(struct best *best)
{
    if (best->count > best->most)
        raise_limit(best);
    sort(best->entries, best->count);
}

/* Adds an entry. Returns whether the limit rose. */
INLINE bool take(struct best *best, int64_t key, int64_t position)
{
    best->entries[best->count++] = (struct best_entry){key, position};
    if (best->count < best_room(best->most))
        return false;
    raise_limit(best);
    return true;
}

static void offer_singly(struct best *best, enum dtype dtype, const char *x, int64_t length,
                         int64_t step, int64_t first)
{
    for (int64_t i = 0; i < length; i++) {
        int64_t key = key_of(dtype, x + i * step);
        if (!best->is_limited || key > best->limit)
            take(best, key, first + i);
    }
}

/* Most numbers of a long row are below the limit. Groups without a number above it are skipped
 * by explicit vector code, because compilers do not vectorize such loops over comparisons of
 * floats. In the other groups a bit is set for each number above the limit: lane l of vector v
 * contributes bit v * lanes + l. */
#define GROUP  64
#define VECTOR 32 /* bytes */
#define OFFER_GROUPS(name, type, mask_type, id, number, ...)                                       \
    typedef type name##_lanes                                                                      \
        __attribute__((vector_size(VECTOR), aligned(sizeof(type)), may_alias));                    \
    typedef mask_type name##_mask __attribute__((vector_size(VECTOR)));                            \
    enum { name##_LANES = VECTOR / sizeof(type), name##_BITS = 8 * sizeof(type) };                 \
    INLINE bool name##_above(const type *x, type limit)                                            \
    {                                                                                              \
        const name##_lanes *lanes = (const name##_lanes *)x;                                       \
        name##_mask any = lanes[0] > limit;                                                        \
        for (int v = 1; v < GROUP / name##_LANES; v++)                                             \
            any |= lanes[v] > limit;                                                               \
        int64_t parts[VECTOR / sizeof(int64_t)];                                                   \
        memcpy(parts, &any, sizeof parts);                                                         \
        return (parts[0] | parts[1] | parts[2] | parts[3]) != 0;                                   \
    }                                                                                              \
    INLINE uint64_t name##_which(const type *x, type limit)                                        \
    {                                                                                              \
        if (!name##_above(x, limit))                                                               \
            return 0;                                                                              \
        uint64_t which = 0;                                                                        \
        for (int first = 0; first < GROUP; first += name##_BITS) {                                 \
            const name##_lanes *lanes = (const name##_lanes *)(x + first);                         \
            name##_mask sum = {0}, bit = {__VA_ARGS__};                                            \
            for (int v = 0; v < name##_BITS / name##_LANES; v++, bit <<= name##_LANES)             \
                sum |= (lanes[v] > limit) & bit;                                                   \
            uint64_t part = 0;                                                                     \
            for (int l = 0; l < name##_LANES; l++)                                                 \
                part |= (uint64_t)sum[l];                                                          \
            which |= (part & (~(uint64_t)0 >> (64 - name##_BITS))) << first;                       \
        }                                                                                          \
        return which;                                                                              \
    }                                                                                              \
    INLINE void name##_offer(struct best *best, const void *row, int64_t length, int64_t first,    \
                             uint64_t which_of(const type *x, type limit))                         \
    {                                                                                              \
        const type *x = row;                                                                       \
        type limit = (type)number(best->limit);                                                    \
        int64_t done = 0;                                                                          \
        for (; done + GROUP <= length; done += GROUP) {                                            \
            uint64_t which = which_of(x + done, limit);                                            \
            for (; which; which &= which - 1) {                                                    \
                int64_t i = done + __builtin_ctzll(which);                                         \
                if (x[i] > limit && take(best, key_of(id, &x[i]), first + i))                      \
                    limit = (type)number(best->limit);                                             \
            }                                                                                      \
        }                                                                                          \
        for (; done < length; done++)                                                              \
            if (x[done] > limit && take(best, key_of(id, &x[done]), first + done))                 \
                limit = (type)number(best->limit);                                                 \
    }
OFFER_GROUPS(f64, double, int64_t, DTYPE_F64, float_of, 1, 2, 4, 8)
OFFER_GROUPS(f32, float, int32_t, DTYPE_F32, float_of, 1, 2, 4, 8, 16, 32, 64, 128)

typedef void (*group_kernel)(struct best *best, const void *x, int64_t length, int64_t first);
#define KERNELS(set, target, of_f64, of_f32)                                                       \
    target static void f64_offer_##set(struct best *best, const void *x, int64_t length,           \
                                       int64_t first)                                              \
    {                                                                                              \
        f64_offer(best, x, length, first, of_f64);                                                 \
    }                                                                                              \
    target static void f32_offer_##set(struct best *best, const void *x, int64_t length,           \
                                       int64_t first)                                              \
    {                                                                                              \
        f32_offer(best, x, length, first, of_f32);                                                 \
    }
KERNELS(plain, , f64_which, f32_which)
#ifdef __x86_64__
#define AVX512 __attribute__((target("avx512f")))
KERNELS(avx2, __attribute__((target("avx2"))), f64_which, f32_which)

/* With AVX-512 a comparison gives the bits directly. */
AVX512 static inline uint64_t f64_which_avx512(const double *x, double limit)
{
    uint64_t which = 0;
    __m512d limits = _mm512_set1_pd(limit);
    for (int v = 0; v < GROUP / 8; v++)
        which |= (uint64_t)_mm512_cmp_pd_mask(_mm512_loadu_pd(x + 8 * v), limits, _CMP_GT_OQ)
                 << 8 * v;
    return which;
}

AVX512 static inline uint64_t f32_which_avx512(const float *x, float limit)
{
    uint64_t which = 0;
    __m512 limits = _mm512_set1_ps(limit);
    for (int v = 0; v < GROUP / 16; v++)
        which |= (uint64_t)_mm512_cmp_ps_mask(_mm512_loadu_ps(x + 16 * v), limits, _CMP_GT_OQ)
                 << 16 * v;
    return which;
}

KERNELS(avx512, AVX512, f64_which_avx512, f32_which_avx512)
#endif

/* The kernel for rows of floats, which is faster than comparing their keys; NULL for other
 * dtypes. */
static group_kernel kernel_of(enum dtype dtype)
{
    if (!dtype_is_float(dtype))
        return NULL;
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx512f"))
        return dtype == DTYPE_F64 ? f64_offer_avx512 : f32_offer_avx512;
    if (__builtin_cpu_supports("avx2"))
        return dtype == DTYPE_F64 ? f64_offer_avx2 : f32_offer_avx2;
#endif
    return dtype == DTYPE_F64 ? f64_offer_plain : f32_offer_plain;
}

void best_offer(struct best *best, enum dtype dtype, const void *x, int64_t length, int64_t step,
                int64_t first)
{
    const char *at = x;
    int64_t done = 0;
    if (!best->is_limited) {
        int64_t room = best_room(best->most) - best->count;
        done = length < room ? length : room;
        offer_singly(best, dtype, at, done, step, first);
    }
    group_kernel kernel = kernel_of(dtype);
    /* While the limit is not-a-number, every number is better, but no float compares greater than
     * it, so keys are compared. */
    bool comparable = best->is_limited && best->limit != BEST_NAN;
    if (kernel && comparable && step == (int64_t)dtype_sizes[dtype])
        kernel(best, at + done * step, length - done, first + done);
    else
        offer_singly(best, dtype, at + done * step, length - done, step, first + done);
}
