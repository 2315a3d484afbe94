/* Products of two sparse matrices of which only the greatest terms count: what a neighbourhood of
 * at most k is, where one factor holds similarities and the other ratings.
 *
 * The terms of element (r, c) of a b are a[r][j] b[j][c], for every j where both have an entry.
 * Each has a weight: its factor from b ("right"), or from a ("left"). The k terms of greatest
 * weight count, of equal ones those of the lower j. */
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

/* What is known of a column of the row in work. */
struct cell {
    int64_t count; /* terms that were found */
    double product, weight;
    struct term *best; /* by "right": the best min(k, count) of them, a heap, the worst on top */
    int64_t kept;
};

/* What the functions below share. Scratch is in userdata on the stack, so errors leak nothing. */
struct job {
    lua_State *L;
    const char *where;
    const struct sparse *a, *b;
    int64_t k, least;
    struct cell *cells;          /* [columns of b] */
    struct term *order;          /* a row of a */
    int room_slot;               /* the stack's place of the heaps */
    size_t room;                 /* terms in it */
    const struct tensor *out[2]; /* products, weights: [rows of a, columns of b] */
};

static double value_at(const struct sparse *sparse, int64_t place)
{
    return scalar_to_double(sparse->values->dtype, element_at(sparse->values, place));
}

static bool is_worse(const struct term *x, const struct term *y)
{
    return x->weight < y->weight || (x->weight == y->weight && x->inner > y->inner);
}

/* ---- By the weights in a: its entries from the greatest to the least, the first k of a column
 * ---- */

static int best_first(const void *left, const void *right)
{
    return is_worse(right, left) ? -1 : 1;
}

static void sum_by_left(struct job *job, int64_t row)
{
    const int64_t *of_a = tensor_data(job->a->pointers), *of_b = tensor_data(job->b->pointers);
    const int32_t *column_a = tensor_data(job->a->column_of);
    const int32_t *column_b = tensor_data(job->b->column_of);
    int64_t count = of_a[row + 1] - of_a[row];
    for (int64_t i = 0; i < count; i++) {
        int64_t inner = sparse_column(job->L, job->a, column_a[of_a[row] + i], job->where);
        job->order[i] = (struct term){value_at(job->a, of_a[row] + i), 0, inner};
    }
    if (count > 1)
        qsort(job->order, (size_t)count, sizeof *job->order, best_first);
    for (int64_t i = 0; i < count; i++) {
        double weight = job->order[i].weight;
        int64_t inner = job->order[i].inner;
        for (int64_t j = of_b[inner]; j < of_b[inner + 1]; j++) {
            struct cell *cell = &job->cells[sparse_column(job->L, job->b, column_b[j], job->where)];
            if (cell->count++ < job->k) {
                cell->product += weight * value_at(job->b, j);
                cell->weight += weight;
            }
        }
    }
}

/* ---- By the weights in b: a heap for each column ---- */

static void sift_down(struct cell *cell, int64_t at, struct term term)
{
    for (;;) {
        int64_t child = 2 * at + 1;
        if (child + 1 < cell->kept && is_worse(&cell->best[child + 1], &cell->best[child]))
            child++;
        if (child >= cell->kept || !is_worse(&cell->best[child], &term))
            break;
        cell->best[at] = cell->best[child];
        at = child;
    }
    cell->best[at] = term;
}

static void offer(struct cell *cell, int64_t k, struct term term)
{
    if (cell->kept < k) {
        cell->best[cell->kept++] = term;
        if (cell->kept == k)
            for (int64_t i = k / 2 - 1; i >= 0; i--)
                sift_down(cell, i, cell->best[i]);
    } else if (is_worse(&cell->best[0], &term)) {
        sift_down(cell, 0, term);
    }
}

/* Counts the terms of every column, and gives each the room that its best ones need. */
static void make_heaps(struct job *job, int64_t row)
{
    const int64_t *of_a = tensor_data(job->a->pointers), *of_b = tensor_data(job->b->pointers);
    const int32_t *column_a = tensor_data(job->a->column_of);
    const int32_t *column_b = tensor_data(job->b->column_of);
    for (int64_t i = of_a[row]; i < of_a[row + 1]; i++) {
        int64_t inner = sparse_column(job->L, job->a, column_a[i], job->where);
        for (int64_t j = of_b[inner]; j < of_b[inner + 1]; j++)
            job->cells[sparse_column(job->L, job->b, column_b[j], job->where)].count++;
    }
    size_t needed = 0;
    for (int64_t c = 0; c < job->b->columns; c++)
        needed += (size_t)(job->cells[c].count < job->k ? job->cells[c].count : job->k);
    if (needed > job->room) {
        lua_newuserdatauv(job->L, 2 * needed * sizeof(struct term), 0);
        lua_replace(job->L, job->room_slot);
        job->room = 2 * needed;
    }
    struct term *next = lua_touserdata(job->L, job->room_slot);
    for (int64_t c = 0; c < job->b->columns; c++) {
        job->cells[c].best = next;
        next += job->cells[c].count < job->k ? job->cells[c].count : job->k;
    }
}

static void sum_by_right(struct job *job, int64_t row)
{
    const int64_t *of_a = tensor_data(job->a->pointers), *of_b = tensor_data(job->b->pointers);
    const int32_t *column_a = tensor_data(job->a->column_of);
    const int32_t *column_b = tensor_data(job->b->column_of);
    make_heaps(job, row);
    for (int64_t i = of_a[row]; i < of_a[row + 1] && job->k; i++) {
        int64_t inner = column_a[i] - 1;
        double factor = value_at(job->a, i);
        for (int64_t j = of_b[inner]; j < of_b[inner + 1]; j++) {
            double weight = value_at(job->b, j);
            offer(&job->cells[column_b[j] - 1], job->k,
                  (struct term){weight, factor * weight, inner});
        }
    }
    for (int64_t c = 0; c < job->b->columns; c++) {
        struct cell *cell = &job->cells[c];
        for (int64_t i = 0; i < cell->kept; i++) {
            cell->product += cell->best[i].product;
            cell->weight += cell->best[i].weight;
        }
    }
}

/* ---- The call ---- */

static void put(const struct tensor *out, int64_t place, double value)
{
    if (out->dtype == DTYPE_F64)
        ((double *)tensor_data(out))[place] = value;
    else
        ((float *)tensor_data(out))[place] = (float)value;
}

/* Writes a row of the results, and leaves the cells as the next row needs them. */
static void write_row(struct job *job, int64_t row)
{
    for (int64_t c = 0; c < job->b->columns; c++) {
        struct cell *cell = &job->cells[c];
        bool enough = cell->count >= job->least;
        put(job->out[0], row * job->b->columns + c, enough ? cell->product : NAN);
        put(job->out[1], row * job->b->columns + c, enough ? cell->weight : NAN);
        *cell = (struct cell){0};
    }
}

/* a:top_products(b, k, by, least) */
int sparse_top_products(lua_State *L)
{
    static const char *const sides[] = {"left", "right", NULL};
    const char *where = "sparse:top_products";
    lua_settop(L, 5);
    struct job job = {.L = L, .where = where, .least = 1};
    job.a = sparse_argument(L, 1, where);
    job.b = sparse_argument(L, 2, where);
    sparse_check_factors(L, job.a, job.b, where);
    job.k = integer_argument(L, 3, where, "the number of terms");
    if (!lua_isnil(L, 5))
        job.least = integer_argument(L, 5, where, "the least number of terms");
    if (job.k < 1 || job.least < 0)
        raise_error(L, where, "%lld terms, at least %lld; at least 1 and 0 are expected",
                    (long long)job.k, (long long)job.least);
    const char *by = lua_type(L, 4) == LUA_TSTRING ? lua_tostring(L, 4) : "";
    bool left = strcmp(by, sides[0]) == 0;
    if (!left && strcmp(by, sides[1]) != 0)
        raise_error(L, where, "the weights are those of '%s'; 'left' or 'right' is expected",
                    luaL_tolstring(L, 4, NULL));

    int64_t size[] = {job.a->rows, job.b->columns};
    job.out[0] = tensor_new(L, job.a->values->dtype, 2, size, false);
    job.out[1] = tensor_new(L, job.a->values->dtype, 2, size, false);
    job.cells = lua_newuserdatauv(L, (size_t)size[1] * sizeof *job.cells + 1, 0);
    memset(job.cells, 0, (size_t)size[1] * sizeof *job.cells);
    job.order = lua_newuserdatauv(L, (size_t)job.a->columns * sizeof *job.order + 1, 0);
    lua_pushnil(L);
    job.room_slot = lua_gettop(L);
    for (int64_t row = 0; row < job.a->rows; row++) {
        if (left)
            sum_by_left(&job, row);
        else
            sum_by_right(&job, row);
        write_row(&job, row);
    }
    lua_settop(L, job.room_slot - 3);
    return 2;
}
