/* Products of two sparse matrices of which only the greatest terms count: what a neighbourhood of
 * at most k is, where one factor holds similarities and the other ratings.
 *
 * The terms of element (r, c) of a b are a[r][j] b[j][c], for every j where both have an entry.
 * Each has a weight: its factor from b ("right"), or from a ("left"). The k terms of greatest
 * weight count, of equal ones those of the lower j.
 *
 * Invariant between rows: the columns that are asked for have a slot each, and every slot is empty.
 */
#include "sparse.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tensor_class.h"
#include "util.h"

struct term {
    double weight, product;
    int64_t inner; /* j */
};

/* The terms found for one element. */
struct slot {
    double limit;      /* what a weight must exceed to matter: not-a-number until `best` is full */
    struct term *best; /* by "right": room for min(k, count), a heap when full, the worst on top */
    double product, weight; /* by "left": sums of the terms that count */
    int64_t count, kept;
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
    struct term *order;          /* the entries of a row of a */
    int room_slot;               /* the stack's place of the heaps */
    size_t room;                 /* terms in it */
    const struct tensor *out[2]; /* products, weights: [rows of a, columns asked for] */
};

static bool is_worse(const struct term *x, const struct term *y)
{
    return x->weight < y->weight || (x->weight == y->weight && x->inner > y->inner);
}

static int best_first(const void *left, const void *right)
{
    return is_worse(right, left) ? -1 : 1;
}

/* The entries of a row of a: their values as weights, and the rows of b that they stand for. */
static int64_t load_row(struct job *job, int64_t row)
{
    const int64_t *pointers = tensor_data(job->a->pointers);
    const int32_t *column = tensor_data(job->a->column_of);
    const struct tensor *values = job->a->values;
    int64_t count = 0;
    for (int64_t i = pointers[row]; i < pointers[row + 1]; i++)
        job->order[count++] =
            (struct term){scalar_to_double(values->dtype, element_at(values, i)), 0,
                          sparse_column(job->L, job->a, column[i], job->where)};
    return count;
}

/* ---- A heap of the best terms, the worst on top ---- */

static void sift_down(struct slot *slot, int64_t at, struct term term)
{
    for (;;) {
        int64_t child = 2 * at + 1;
        if (child + 1 < slot->kept && is_worse(&slot->best[child + 1], &slot->best[child]))
            child++;
        if (child >= slot->kept || !is_worse(&slot->best[child], &term))
            break;
        slot->best[at] = slot->best[child];
        at = child;
    }
    slot->best[at] = term;
}

static void offer(struct slot *slot, int64_t k, struct term term)
{
    if (slot->kept < k) {
        slot->best[slot->kept++] = term;
        if (slot->kept < k)
            return;
        for (int64_t i = k / 2 - 1; i >= 0; i--)
            sift_down(slot, i, slot->best[i]);
    } else if (is_worse(&slot->best[0], &term)) {
        sift_down(slot, 0, term);
    }
    slot->limit = slot->best[0].weight;
}

/* Gives each slot the room that its best terms need. */
static void make_heaps(struct job *job)
{
    size_t needed = 0;
    for (int64_t i = 0; i < job->slot_count; i++)
        needed += (size_t)(job->slots[i].count < job->k ? job->slots[i].count : job->k);
    if (needed > job->room) {
        lua_newuserdatauv(job->L, 2 * needed * sizeof(struct term), 0);
        lua_replace(job->L, job->room_slot);
        job->room = 2 * needed;
    }
    struct term *next = lua_touserdata(job->L, job->room_slot);
    for (int64_t i = 0; i < job->slot_count; i++) {
        job->slots[i].best = next;
        next += job->slots[i].count < job->k ? job->slots[i].count : job->k;
    }
}

/* ---- One row ---- */

/* By the weights in b every element has a heap; by those in a, its entries come from the greatest
 * to the least, and the first k that an element meets are its best. */
#define SUM_ROW(name, type)                                                                        \
    static void by_right_##name(struct job *job, int64_t count)                                    \
    {                                                                                              \
        const int64_t *pointers = tensor_data(job->b->pointers);                                   \
        const int32_t *column = tensor_data(job->b->column_of);                                    \
        const type *value = tensor_data(job->b->values);                                           \
        for (int64_t i = 0; i < count; i++) {                                                      \
            int64_t inner = job->order[i].inner;                                                   \
            for (int64_t j = pointers[inner]; j < pointers[inner + 1]; j++) {                      \
                int32_t slot = job->slot_of[sparse_column(job->L, job->b, column[j], job->where)]; \
                if (slot >= 0)                                                                     \
                    job->slots[slot].count++;                                                      \
            }                                                                                      \
        }                                                                                          \
        make_heaps(job);                                                                           \
        for (int64_t i = 0; i < count; i++) {                                                      \
            int64_t inner = job->order[i].inner;                                                   \
            double factor = job->order[i].weight;                                                  \
            for (int64_t j = pointers[inner]; j < pointers[inner + 1]; j++) {                      \
                int32_t slot = job->slot_of[column[j] - 1];                                        \
                double weight = value[j];                                                          \
                if (slot >= 0 && !(weight <= job->slots[slot].limit))                              \
                    offer(&job->slots[slot], job->k,                                               \
                          (struct term){weight, factor * weight, inner});                          \
            }                                                                                      \
        }                                                                                          \
    }                                                                                              \
    static void by_left_##name(struct job *job, int64_t count)                                     \
    {                                                                                              \
        const int64_t *pointers = tensor_data(job->b->pointers);                                   \
        const int32_t *column = tensor_data(job->b->column_of);                                    \
        const type *value = tensor_data(job->b->values);                                           \
        if (count > 1)                                                                             \
            qsort(job->order, (size_t)count, sizeof *job->order, best_first);                      \
        for (int64_t i = 0; i < count; i++) {                                                      \
            int64_t inner = job->order[i].inner;                                                   \
            double weight = job->order[i].weight;                                                  \
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
        for (int64_t t = 0; t < slot->kept; t++) {
            slot->product += slot->best[t].product;
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
        raise_error(L, where, "the weights are those of '%s'; 'left' or 'right' is expected",
                    luaL_tolstring(L, index, NULL));
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
        raise_error(L, where, "%lld terms, at least %lld; at least 1 and 0 are expected",
                    (long long)job.k, (long long)job.least);
    make_slots(&job, 6);
    job.order = lua_newuserdatauv(L, (size_t)job.a->columns * sizeof *job.order + 1, 0);
    lua_pushnil(L);
    job.room_slot = lua_gettop(L);
    int64_t size[] = {job.a->rows, job.asked.count};
    job.out[0] = tensor_new(L, job.a->values->dtype, 2, size, false);
    job.out[1] = tensor_new(L, job.a->values->dtype, 2, size, false);
    multiply(&job, left);
    return 2;
}
