/* Products of two sparse matrices in which only the greatest terms of each element count. This is
 * how a recommender scores by a neighbourhood of at most k: one factor holds similarities, the
 * other ratings.
 *
 * The terms of element (r, c) of a b are a[r][j] b[j][c], for every j where both have an entry. The
 * weight of a term is its factor from b ("right") or from a ("left"). The k terms of greatest
 * weight count; of equal ones, those with the lower j.
 *
 * Invariant between rows of the result: each distinct column that is asked for has a struct
 * element, and all of these are empty. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <lauxlib.h>

#include "base/util.h"
#include "base/value_text.h"
#include "tensor/tensor_argument.h"
#include "tensor/tensor_index.h"
#include "tensor/tensor_scalar.h"
#include "sparse/sparse.h"
#include "sparse/sparse_sparse.h"

/* An entry of a row of a. */
struct entry {
    double value;
    int64_t inner; /* j */
};

struct term {
    double weight; /* its factor from b */
    int64_t place; /* index in top_products.row of its factor from a; j ascends there */
};

/* An element of the result, in the row being computed. */
struct element {
    /* With the weights from b ("right"): room for min(2 k, count) terms. When it is full, the k
     * best terms move to its front, and `limit` becomes the least weight of these: a later term
     * that does not exceed it cannot count. Until then the limit is not-a-number, which excludes no
     * term. */
    struct term *best;
    double limit;
    int64_t kept;           /* terms in `best` */
    double product, weight; /* sums over the terms that count */
    int64_t count;          /* of all terms */
};

/* One call of top_products. Its memory is in userdata on the stack, so that errors leak nothing. */
struct top_products {
    lua_State *L;
    const char *where;
    const struct sparse *a, *b;
    /* At most k terms of an element count. An element that has fewer than `least` terms is
     * not-a-number. */
    int64_t k, least;
    int32_t *element_of; /* [columns of b]: index in `elements`; -1: the column was not asked for */
    struct element *elements;
    int64_t element_count;
    struct picks asked;          /* columns, in the order of the result */
    struct entry *row;           /* of a, for the row of the result being computed */
    int room_index;              /* where the room for all `best` lies on the stack */
    size_t room;                 /* terms it holds */
    const struct tensor *out[2]; /* products, weights: [rows of a, columns asked for] */
};

/* Reads the entries of a row of a, and returns how many there are. */
static int64_t load_row(struct top_products *top, int64_t row)
{
    const int64_t *pointers = tensor_data(top->a->pointers);
    const int32_t *column = tensor_data(top->a->column_of);
    const struct tensor *values = top->a->values;
    int64_t count = 0;
    for (int64_t i = pointers[row]; i < pointers[row + 1]; i++)
        top->row[count++] = (struct entry){scalar_to_double(values->dtype, element_at(values, i)),
                                           sparse_column(top->L, top->a, column[i], top->where)};
    return count;
}

/* ---- The best terms of an element ---- */

/* Whether term x comes before term y. There is no branch, because it would be mispredicted every
 * other time. */
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

/* Reduces the terms that were kept to the k best. */
static void settle(struct element *element, int64_t k)
{
    if (element->kept <= k)
        return;
    select_best(element->best, element->kept, k);
    element->kept = k;
    element->limit = element->best[0].weight;
    for (int64_t i = 1; i < k; i++)
        if (element->best[i].weight < element->limit)
            element->limit = element->best[i].weight;
}

static inline int64_t room_of(const struct element *element, int64_t k)
{
    return element->count / 2 < k ? element->count : 2 * k;
}

/* Gives each element the room that its terms need. */
static void make_room(struct top_products *top)
{
    size_t needed = 0;
    for (int64_t i = 0; i < top->element_count; i++)
        needed += (size_t)room_of(&top->elements[i], top->k);
    if (needed > top->room) {
        lua_newuserdatauv(top->L, 2 * needed * sizeof(struct term), 0);
        lua_replace(top->L, top->room_index);
        top->room = 2 * needed;
    }
    struct term *next = lua_touserdata(top->L, top->room_index);
    for (int64_t i = 0; i < top->element_count; i++) {
        top->elements[i].best = next;
        next += room_of(&top->elements[i], top->k);
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

/* by_right: the weights are in b, so every element keeps its best terms; the first loop counts the
 * terms that make_room needs room for. by_left: the weights are in a, so the row's entries are
 * taken from the greatest to the least, and the first k terms of an element are its best. */
#define SUM_ROW(name, type)                                                                        \
    static void by_right_##name(struct top_products *top, int64_t count)                           \
    {                                                                                              \
        const int64_t *pointers = tensor_data(top->b->pointers);                                   \
        const int32_t *column = tensor_data(top->b->column_of);                                    \
        const type *value = tensor_data(top->b->values);                                           \
        for (int64_t i = 0; i < count; i++) {                                                      \
            int64_t inner = top->row[i].inner;                                                     \
            for (int64_t j = pointers[inner]; j < pointers[inner + 1]; j++) {                      \
                int32_t element =                                                                  \
                    top->element_of[sparse_column(top->L, top->b, column[j], top->where)];         \
                if (element >= 0)                                                                  \
                    top->elements[element].count++;                                                \
            }                                                                                      \
        }                                                                                          \
        make_room(top);                                                                            \
        for (int64_t i = 0; i < count; i++) {                                                      \
            int64_t inner = top->row[i].inner;                                                     \
            for (int64_t j = pointers[inner]; j < pointers[inner + 1]; j++) {                      \
                int32_t at = top->element_of[column[j] - 1];                                       \
                double weight = value[j];                                                          \
                if (at < 0 || weight <= top->elements[at].limit)                                   \
                    continue;                                                                      \
                struct element *element = &top->elements[at];                                      \
                element->best[element->kept++] = (struct term){weight, i};                         \
                if (element->kept / 2 >= top->k)                                                   \
                    settle(element, top->k);                                                       \
            }                                                                                      \
        }                                                                                          \
    }                                                                                              \
    static void by_left_##name(struct top_products *top, int64_t count)                            \
    {                                                                                              \
        const int64_t *pointers = tensor_data(top->b->pointers);                                   \
        const int32_t *column = tensor_data(top->b->column_of);                                    \
        const type *value = tensor_data(top->b->values);                                           \
        if (count > 1)                                                                             \
            qsort(top->row, (size_t)count, sizeof *top->row, greatest_first);                      \
        for (int64_t i = 0; i < count; i++) {                                                      \
            int64_t inner = top->row[i].inner;                                                     \
            double weight = top->row[i].value;                                                     \
            for (int64_t j = pointers[inner]; j < pointers[inner + 1]; j++) {                      \
                int32_t at =                                                                       \
                    top->element_of[sparse_column(top->L, top->b, column[j], top->where)];         \
                struct element *element = &top->elements[at < 0 ? 0 : at];                         \
                if (at < 0 || element->count++ >= top->k)                                          \
                    continue;                                                                      \
                element->product += weight * (double)value[j];                                     \
                element->weight += weight;                                                         \
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

/* Writes a row of the results, and empties the elements. */
static void write_row(struct top_products *top, int64_t row)
{
    for (int64_t i = 0; i < top->element_count; i++) {
        struct element *element = &top->elements[i];
        settle(element, top->k);
        for (int64_t t = 0; t < element->kept; t++) {
            element->product += top->row[element->best[t].place].value * element->best[t].weight;
            element->weight += element->best[t].weight;
        }
    }
    for (int64_t i = 0; i < top->asked.count; i++) {
        const struct element *element = &top->elements[top->element_of[top->asked.row[i] - 1]];
        bool enough = element->count >= top->least;
        put(top->out[0], row * top->asked.count + i, enough ? element->product : NAN);
        put(top->out[1], row * top->asked.count + i, enough ? element->weight : NAN);
    }
    for (int64_t i = 0; i < top->element_count; i++)
        top->elements[i] = (struct element){.limit = NAN};
}

/* ---- The call ---- */

/* Takes the list of columns at this stack index (nil: all columns), and makes an empty element for
 * each distinct one. */
static void make_elements(struct top_products *top, int index)
{
    lua_State *L = top->L;
    int64_t columns = top->b->columns;
    if (lua_isnil(L, index)) {
        int64_t *all = lua_newuserdatauv(L, (size_t)columns * sizeof *all + 1, 0);
        for (int64_t c = 0; c < columns; c++)
            all[c] = c + 1;
        top->asked = (struct picks){all, columns};
    } else {
        top->asked = picks_argument(L, index, columns, top->where);
    }
    top->element_of = lua_newuserdatauv(L, (size_t)columns * sizeof *top->element_of + 1, 0);
    for (int64_t c = 0; c < columns; c++)
        top->element_of[c] = -1;
    for (int64_t i = 0; i < top->asked.count; i++)
        if (top->element_of[top->asked.row[i] - 1] < 0)
            top->element_of[top->asked.row[i] - 1] = (int32_t)top->element_count++;
    top->elements = lua_newuserdatauv(L, (size_t)top->element_count * sizeof *top->elements + 1, 0);
    for (int64_t i = 0; i < top->element_count; i++)
        top->elements[i] = (struct element){.limit = NAN};
}

static void multiply(struct top_products *top, bool left)
{
    bool is_f64 = top->b->values->dtype == DTYPE_F64;
    for (int64_t row = 0; row < top->a->rows; row++) {
        int64_t count = load_row(top, row);
        if (left)
            (is_f64 ? by_left_f64 : by_left_f32)(top, count);
        else
            (is_f64 ? by_right_f64 : by_right_f32)(top, count);
        write_row(top, row);
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
static int multiply_top(lua_State *L)
{
    const char *where = "sparse:top_products";
    lua_settop(L, 6);
    struct top_products top = {.L = L, .where = where, .least = 1};
    top.a = sparse_argument(L, 1, where);
    top.b = sparse_argument(L, 2, where);
    sparse_check_factors(L, top.a, top.b, where);
    top.k = integer_argument(L, 3, where, "the number of terms");
    bool left = is_left(L, 4, where);
    if (!lua_isnil(L, 5))
        top.least = integer_argument(L, 5, where, "the least number of terms");
    if (top.k < 1 || top.least < 0)
        raise_error(L, where, "%lld terms, at least %lld; expected at least 1 and 0",
                    (long long)top.k, (long long)top.least);
    make_elements(&top, 6);
    top.row = lua_newuserdatauv(L, (size_t)top.a->columns * sizeof *top.row + 1, 0);
    lua_pushnil(L);
    top.room_index = lua_gettop(L);
    int64_t size[] = {top.a->rows, top.asked.count};
    top.out[0] = tensor_new(L, top.a->values->dtype, 2, size, false);
    top.out[1] = tensor_new(L, top.a->values->dtype, 2, size, false);
    multiply(&top, left);
    return 2;
}

const luaL_Reg sparse_top_methods[] = {{"top_products", multiply_top}, {NULL, NULL}};
