/* Products of two sparse matrices of which only the greatest terms count: what a neighbourhood of
 * at most k is, where one factor holds similarities and the other ratings.
 *
 * The terms of element (r, c) of a b are a[r][j] b[j][c], for every j where both have an entry.
 * Each has a weight: its factor from b ("right"), or from a ("left"). The k terms of greatest
 * weight count, of equal ones those of the lower j.
 *
 * Invariant between rows: the columns that are asked for have a slot each, and every slot is empty.
 */
#include "sparse/sparse.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tensor/tensor_class.h"
#include "base/value_text.h"
#include "base/util.h"

/* An entry of a row of a. */
struct entry {
    double value;
    int64_t inner; /* j */
};

struct term {
    double weight; /* its factor from b */
    int64_t place; /* of its other factor in the row of a, where j ascends */
};

/* The terms found for one element. */
struct slot {
    /* By "right": room for min(2 k, count) terms. When it is full, the k best move to its front,
     * and `limit` is the least weight of theirs: what does not exceed it can be passed over.
     * Before, it is not-a-number. */
    struct term *best;
    double limit;
    int64_t kept;
    double product, weight; /* sums of the terms that count */
    int64_t count;          /* all terms */
};

/* What the functions below share. Scratch is in userdata on the stack, so errors leak nothing. */
struct job {
    lua_State *L;
    const char *where;
    const struct sparse *a, *b;
    int64_t k, least;
    int32_t *slot_of; /* [columns of b]: -1 for those that nobody asked for */
    struct slot *slots;
    int64_t slot_count;
    struct picks asked;          /* columns, in the order of the result */
    struct entry *row;           /* the row of a in work */
    int room_slot;               /* the stack's place of the slots' room */
    size_t room;                 /* terms in it */
    const struct tensor *out[2]; /* products, weights: [rows of a, columns asked for] */
};

/* The entries of a row of a, and the rows of b that they stand for. */
static int64_t load_row(struct job *job, int64_t row)
{
    const int64_t *pointers = tensor_data(job->a->pointers);
    const int32_t *column = tensor_data(job->a->column_of);
    const struct tensor *values = job->a->values;
    int64_t count = 0;
    for (int64_t i = pointers[row]; i < pointers[row + 1]; i++)
        job->row[count++] = (struct entry){scalar_to_double(values->dtype, element_at(values, i)),
                                           sparse_column(job->L, job->a, column[i], job->where)};
    return count;
}

/* ---- The best terms of an element ---- */

/* Without a branch, which would be mispredicted every other time. */
static inline bool is_better(struct term x, struct term y)
{
    return (x.weight > y.weight) | ((x.weight == y.weight) & (x.place < y.place));
}

static inline void swap(struct term *x, struct term *y)
{
    struct term kept = *x;
    *x = *y;
    *y = kept;
}

/* Moves the median of the first, the middle and the last term to the last place. */
static void choose_pivot(struct term *terms, int64_t low, int64_t last)
{
    int64_t middle = low + (last - low) / 2;
    if (is_better(terms[middle], terms[low]))
        swap(&terms[middle], &terms[low]);
    if (is_better(terms[last], terms[low]))
        swap(&terms[last], &terms[low]);
    if (is_better(terms[middle], terms[last]))
        swap(&terms[middle], &terms[last]);
}

/* Moves the k best of `count` terms to the front, in any order (C. A. R. Hoare: Algorithm 65, Find.
 * CACM 4(7), 1961; N. Lomuto's way to partition). */
static void select_best(struct term *terms, int64_t count, int64_t k)
{
    for (int64_t low = 0, last = count - 1; low < last;) {
        choose_pivot(terms, low, last);
        int64_t better = low; /* those before it are better than the pivot, which is the last */
        for (int64_t i = low; i < last; i++) {
            bool moves = is_better(terms[i], terms[last]);
            swap(&terms[i], &terms[better]);
            better += moves;
        }
        swap(&terms[better], &terms[last]);
        if (better == k || better == k - 1)
            return;
        if (better > k)
            last = better - 1;
        else
            low = better + 1;
    }
}

/* Leaves the k best of those that were kept. */
static void settle(struct slot *slot, int64_t k)
{
    if (slot->kept <= k)
        return;
    select_best(slot->best, slot->kept, k);
    slot->kept = k;
    slot->limit = slot->best[0].weight;
    for (int64_t i = 1; i < k; i++)
        if (slot->best[i].weight < slot->limit)
            slot->limit = slot->best[i].weight;
}

static inline int64_t room_of(const struct slot *slot, int64_t k)
{
    return slot->count / 2 < k ? slot->count : 2 * k;
}

/* Gives each slot the room that its terms need. */
static void make_room(struct job *job)
{
    size_t needed = 0;
    for (int64_t i = 0; i < job->slot_count; i++)
        needed += (size_t)room_of(&job->slots[i], job->k);
    if (needed > job->room) {
        lua_newuserdatauv(job->L, 2 * needed * sizeof(struct term), 0);
        lua_replace(job->L, job->room_slot);
        job->room = 2 * needed;
    }
    struct term *next = lua_touserdata(job->L, job->room_slot);
    for (int64_t i = 0; i < job->slot_count; i++) {
        job->slots[i].best = next;
        next += room_of(&job->slots[i], job->k);
    }
}

/* ---- One row ---- */

static int greatest_first(const void *left, const void *right)
{
    const struct entry *a = left, *b = right;
    if (a->value != b->value)
        return a->value > b->value ? -1 : 1;
    return a->inner < b->inner ? -1 : 1;
}

/* By the weights in b every element keeps its best terms; by those in a, the row's entries come
 * from the greatest to the least, and the first k that an element meets are its best. */
#define SUM_ROW(name, type)                                                                        \
    static void by_right_##name(struct job *job, int64_t count)                                    \
    {                                                                                              \
        const int64_t *pointers = tensor_data(job->b->pointers);                                   \
        const int32_t *column = tensor_data(job->b->column_of);                                    \
        const type *value = tensor_data(job->b->values);                                           \
        for (int64_t i = 0; i < count; i++) {                                                      \
            int64_t inner = job->row[i].inner;                                                     \
            for (int64_t j = pointers[inner]; j < pointers[inner + 1]; j++) {                      \
                int32_t slot = job->slot_of[sparse_column(job->L, job->b, column[j], job->where)]; \
                if (slot >= 0)                                                                     \
                    job->slots[slot].count++;                                                      \
            }                                                                                      \
        }                                                                                          \
        make_room(job);                                                                            \
        for (int64_t i = 0; i < count; i++) {                                                      \
            int64_t inner = job->row[i].inner;                                                     \
            for (int64_t j = pointers[inner]; j < pointers[inner + 1]; j++) {                      \
                int32_t at = job->slot_of[column[j] - 1];                                          \
                double weight = value[j];                                                          \
                if (at < 0 || weight <= job->slots[at].limit)                                      \
                    continue;                                                                      \
                struct slot *slot = &job->slots[at];                                               \
                slot->best[slot->kept++] = (struct term){weight, i};                               \
                if (slot->kept / 2 >= job->k)                                                      \
                    settle(slot, job->k);                                                          \
            }                                                                                      \
        }                                                                                          \
    }                                                                                              \
    static void by_left_##name(struct job *job, int64_t count)                                     \
    {                                                                                              \
        const int64_t *pointers = tensor_data(job->b->pointers);                                   \
        const int32_t *column = tensor_data(job->b->column_of);                                    \
        const type *value = tensor_data(job->b->values);                                           \
        if (count > 1)                                                                             \
            qsort(job->row, (size_t)count, sizeof *job->row, greatest_first);                      \
        for (int64_t i = 0; i < count; i++) {                                                      \
            int64_t inner = job->row[i].inner;                                                     \
            double weight = job->row[i].value;                                                     \
            for (int64_t j = pointers[inner]; j < pointers[inner + 1]; j++) {                      \
                int32_t at = job->slot_of[sparse_column(job->L, job->b, column[j], job->where)];   \
                struct slot *slot = &job->slots[at < 0 ? 0 : at];                                  \
                if (at < 0 || slot->count++ >= job->k)                                             \
                    continue;                                                                      \
                slot->product += weight * (double)value[j];                                        \
                slot->weight += weight;                                                            \
            }                                                                                      \
        }                                                                                          \
    }
FOR_FLOATS(SUM_ROW)

static void put(const struct tensor *out, int64_t place, double value)
{
    if (out->dtype == DTYPE_F64)
        ((double *)tensor_data(out))[place] = value;
    else
        ((float *)tensor_data(out))[place] = (float)value;
}

/* Writes a row of the results, and empties the slots. */
static void write_row(struct job *job, int64_t row)
{
    for (int64_t i = 0; i < job->slot_count; i++) {
        struct slot *slot = &job->slots[i];
        settle(slot, job->k);
        for (int64_t t = 0; t < slot->kept; t++) {
            slot->product += job->row[slot->best[t].place].value * slot->best[t].weight;
            slot->weight += slot->best[t].weight;
        }
    }
    for (int64_t i = 0; i < job->asked.count; i++) {
        const struct slot *slot = &job->slots[job->slot_of[job->asked.row[i] - 1]];
        bool enough = slot->count >= job->least;
        put(job->out[0], row * job->asked.count + i, enough ? slot->product : NAN);
        put(job->out[1], row * job->asked.count + i, enough ? slot->weight : NAN);
    }
    for (int64_t i = 0; i < job->slot_count; i++)
        job->slots[i] = (struct slot){.limit = NAN};
}

/* ---- The call ---- */

/* The columns at this stack index, or all of them, and a slot for each. */
static void make_slots(struct job *job, int index)
{
    lua_State *L = job->L;
    int64_t columns = job->b->columns;
    if (lua_isnil(L, index)) {
        int64_t *all = lua_newuserdatauv(L, (size_t)columns * sizeof *all + 1, 0);
        for (int64_t c = 0; c < columns; c++)
            all[c] = c + 1;
        job->asked = (struct picks){all, columns};
    } else {
        job->asked = picks_argument(L, index, columns, job->where);
    }
    job->slot_of = lua_newuserdatauv(L, (size_t)columns * sizeof *job->slot_of + 1, 0);
    for (int64_t c = 0; c < columns; c++)
        job->slot_of[c] = -1;
    for (int64_t i = 0; i < job->asked.count; i++)
        if (job->slot_of[job->asked.row[i] - 1] < 0)
            job->slot_of[job->asked.row[i] - 1] = (int32_t)job->slot_count++;
    job->slots = lua_newuserdatauv(L, (size_t)job->slot_count * sizeof *job->slots + 1, 0);
    for (int64_t i = 0; i < job->slot_count; i++)
        job->slots[i] = (struct slot){.limit = NAN};
}

static void multiply(struct job *job, bool left)
{
    bool is_f64 = job->b->values->dtype == DTYPE_F64;
    for (int64_t row = 0; row < job->a->rows; row++) {
        int64_t count = load_row(job, row);
        if (left)
            (is_f64 ? by_left_f64 : by_left_f32)(job, count);
        else
            (is_f64 ? by_right_f64 : by_right_f32)(job, count);
        write_row(job, row);
    }
}

static bool is_left(lua_State *L, int index, const char *where)
{
    const char *side = lua_type(L, index) == LUA_TSTRING ? lua_tostring(L, index) : "";
    bool left = strcmp(side, "left") == 0;
    if (!left && strcmp(side, "right") != 0)
        raise_error(L, where, "the weights are those of %.80s; expected 'left' or 'right'",
                    push_brief(L, index));
    return left;
}

/* a:top_products(b, k, side, least, columns) */
int sparse_top_products(lua_State *L)
{
    const char *where = "sparse:top_products";
    lua_settop(L, 6);
    struct job job = {.L = L, .where = where, .least = 1};
    job.a = sparse_argument(L, 1, where);
    job.b = sparse_argument(L, 2, where);
    sparse_check_factors(L, job.a, job.b, where);
    job.k = integer_argument(L, 3, where, "the number of terms");
    bool left = is_left(L, 4, where);
    if (!lua_isnil(L, 5))
        job.least = integer_argument(L, 5, where, "the least number of terms");
    if (job.k < 1 || job.least < 0)
        raise_error(L, where, "%lld terms, at least %lld; expected at least 1 and 0",
                    (long long)job.k, (long long)job.least);
    make_slots(&job, 6);
    job.row = lua_newuserdatauv(L, (size_t)job.a->columns * sizeof *job.row + 1, 0);
    lua_pushnil(L);
    job.room_slot = lua_gettop(L);
    int64_t size[] = {job.a->rows, job.asked.count};
    job.out[0] = tensor_new(L, job.a->values->dtype, 2, size, false);
    job.out[1] = tensor_new(L, job.a->values->dtype, 2, size, false);
    multiply(&job, left);
    return 2;
}
