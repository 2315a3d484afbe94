/* Sparse matrices of the rows of others: rows picked by a list, rows of several matrices below each
 * other, rows without their lesser entries. */
#include "sparse.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tensor_class.h"
#include "util.h"

/* The three parts of a matrix to be filled in, on the top of the stack for sparse_push. */
struct parts {
    int64_t *pointers;
    int32_t *columns;
    char *values;
};

static int64_t *new_pointers(lua_State *L, int64_t rows)
{
    int64_t count = rows + 1;
    return tensor_data(tensor_new(L, DTYPE_I64, 1, &count, true));
}

static struct parts new_entries(lua_State *L, int64_t *pointers, int64_t entries, enum dtype dtype)
{
    struct parts parts = {.pointers = pointers};
    parts.columns = tensor_data(tensor_new(L, DTYPE_I32, 1, &entries, false));
    parts.values = tensor_data(tensor_new(L, dtype, 1, &entries, false));
    return parts;
}

/* Copies `count` entries, from place `from` on, to place `to`. */
static void copy_entries(const struct parts *parts, int64_t to, const struct sparse *source,
                         int64_t from, int64_t count)
{
    if (count == 0)
        return;
    size_t element = dtype_sizes[source->values->dtype];
    memcpy(parts->columns + to, (const int32_t *)tensor_data(source->column_of) + from,
           (size_t)count * sizeof *parts->columns);
    memcpy(parts->values + (size_t)to * element, element_at(source->values, from),
           (size_t)count * element);
}

/* s:index(rows) */
int sparse_index(lua_State *L)
{
    const char *where = "sparse:index";
    const struct sparse *sparse = sparse_argument(L, 1, where);
    struct picks picks = picks_argument(L, 2, sparse->rows, where);
    const int64_t *from = tensor_data(sparse->pointers);
    int64_t *pointers = new_pointers(L, picks.count);
    for (int64_t i = 0; i < picks.count; i++)
        pointers[i + 1] = pointers[i] + from[picks.row[i]] - from[picks.row[i] - 1];
    struct parts parts = new_entries(L, pointers, pointers[picks.count], sparse->values->dtype);
    for (int64_t i = 0; i < picks.count; i++)
        copy_entries(&parts, pointers[i], sparse, from[picks.row[i] - 1],
                     pointers[i + 1] - pointers[i]);
    sparse_push(L, picks.count, sparse->columns, -3, -2, -1);
    return 1;
}

/* ---- Below each other ---- */

/* The matrix at this place of the list at index 1, which keeps it alive. */
static const struct sparse *member(lua_State *L, int64_t place, const char *where)
{
    lua_rawgeti(L, 1, place);
    const struct sparse *sparse = sparse_test(L, -1);
    if (!sparse)
        raise_error(L, where, "[%lld] is %s; a sparse matrix is expected", (long long)place,
                    type_text(L, -1));
    lua_pop(L, 1);
    return sparse;
}

/* lk.sparse.stack{a, b, …} */
int sparse_stack(lua_State *L)
{
    const char *where = "lk.sparse.stack";
    lua_settop(L, 1);
    int64_t count = lua_istable(L, 1) ? (int64_t)lua_rawlen(L, 1) : 0;
    if (count == 0)
        raise_error(L, where, "the argument is %s; a table with at least one matrix is expected",
                    lua_istable(L, 1) ? "an empty table" : type_text(L, 1));
    const struct sparse *first = member(L, 1, where);
    int64_t rows = 0, entries = 0;
    for (int64_t i = 1; i <= count; i++) {
        const struct sparse *each = member(L, i, where);
        if (each->columns != first->columns || each->values->dtype != first->values->dtype)
            raise_error(L, where,
                        "[%lld] is %s with %lld columns; %s with %lld is expected, as [1]",
                        (long long)i, dtype_names[each->values->dtype], (long long)each->columns,
                        dtype_names[first->values->dtype], (long long)first->columns);
        rows += each->rows;
        entries += each->values->count;
    }
    int64_t *pointers = new_pointers(L, rows);
    struct parts parts = new_entries(L, pointers, entries, first->values->dtype);
    int64_t row = 0, at = 0;
    for (int64_t i = 1; i <= count; i++) {
        const struct sparse *each = member(L, i, where);
        const int64_t *from = tensor_data(each->pointers);
        copy_entries(&parts, at, each, 0, each->values->count);
        for (int64_t r = 1; r <= each->rows; r++)
            pointers[++row] = at + from[r];
        at += each->values->count;
    }
    sparse_push(L, rows, first->columns, -3, -2, -1);
    return 1;
}

/* ---- Without the lesser entries ---- */

struct candidate {
    double value;
    int64_t place; /* among the entries of the matrix */
};

static int greatest_first(const void *left, const void *right)
{
    const struct candidate *a = left, *b = right;
    if (a->value != b->value)
        return a->value > b->value ? -1 : 1;
    return a->place < b->place ? -1 : 1;
}

static int in_place_order(const void *left, const void *right)
{
    const struct candidate *a = left, *b = right;
    return a->place < b->place ? -1 : 1;
}

/* Fills in what stays of a row, in its order: how many. Not-a-number never stays. */
static int64_t choose(const struct sparse *sparse, int64_t row, double least, int64_t keep,
                      struct candidate *chosen)
{
    const int64_t *pointers = tensor_data(sparse->pointers);
    enum dtype dtype = sparse->values->dtype;
    int64_t count = 0;
    for (int64_t i = pointers[row]; i < pointers[row + 1]; i++) {
        double value = scalar_to_double(dtype, element_at(sparse->values, i));
        if (value >= least)
            chosen[count++] = (struct candidate){value, i};
    }
    if (count <= keep)
        return count;
    qsort(chosen, (size_t)count, sizeof *chosen, greatest_first);
    qsort(chosen, (size_t)keep, sizeof *chosen, in_place_order);
    return keep;
}

static int64_t longest_row(const struct sparse *sparse)
{
    const int64_t *pointers = tensor_data(sparse->pointers);
    int64_t longest = 0;
    for (int64_t row = 0; row < sparse->rows; row++)
        if (pointers[row + 1] - pointers[row] > longest)
            longest = pointers[row + 1] - pointers[row];
    return longest;
}

/* s:prune(least, keep) */
int sparse_prune(lua_State *L)
{
    const char *where = "sparse:prune";
    const struct sparse *sparse = sparse_argument(L, 1, where);
    double least = number_argument(L, 2, where, "the least value to keep");
    int64_t keep = INT64_MAX;
    if (!lua_isnoneornil(L, 3))
        keep = integer_argument(L, 3, where, "the number of entries to keep");
    if (keep < 0)
        raise_error(L, where, "%lld entries of each row to keep; 0 or more are expected",
                    (long long)keep);
    size_t room = (size_t)longest_row(sparse) * sizeof(struct candidate);
    struct candidate *chosen = lua_newuserdatauv(L, room + 1, 0);
    int64_t entries = sparse->values->count;
    int64_t *pointers = new_pointers(L, sparse->rows);
    int64_t *place = tensor_data(tensor_new(L, DTYPE_I64, 1, &entries, false));
    for (int64_t row = 0; row < sparse->rows; row++) {
        int64_t count = choose(sparse, row, least, keep, chosen), at = pointers[row];
        for (int64_t i = 0; i < count; i++)
            place[at + i] = chosen[i].place;
        pointers[row + 1] = at + count;
    }
    struct parts parts = new_entries(L, pointers, pointers[sparse->rows], sparse->values->dtype);
    for (int64_t i = 0; i < pointers[sparse->rows]; i++)
        copy_entries(&parts, i, sparse, place[i], 1);
    lua_remove(L, -3); /* the places */
    sparse_push(L, sparse->rows, sparse->columns, -3, -2, -1);
    return 1;
}
