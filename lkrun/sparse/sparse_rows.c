/* Rows of sparse matrices: picked by a list, stacked from several matrices, pruned of their lesser
 * entries; and their greatest entries, or those of given columns, as dense tensors. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <lauxlib.h>

#include "base/util.h"
#include "base/value_text.h"
#include "tensor/tensor_argument.h"
#include "tensor/tensor_copy.h"
#include "tensor/tensor_index.h"
#include "tensor/tensor_scalar.h"
#include "sparse/sparse.h"

/* The parts of a new matrix, to be filled in. Their three tensors are on top of the stack, where
 * sparse_push takes them from. */
struct csr_parts {
    int64_t *pointers;
    int32_t *columns;
    char *values;
};

static int64_t *new_pointers(lua_State *L, int64_t rows)
{
    int64_t count = rows + 1;
    return tensor_data(tensor_new(L, DTYPE_I64, 1, &count, true));
}

static struct csr_parts new_entries(lua_State *L, int64_t *pointers, int64_t entries,
                                    enum dtype dtype)
{
    struct csr_parts parts = {.pointers = pointers};
    parts.columns = tensor_data(tensor_new(L, DTYPE_I32, 1, &entries, false));
    parts.values = tensor_data(tensor_new(L, dtype, 1, &entries, false));
    return parts;
}

/* Copies `count` entries of the source, beginning with entry `from`, to the parts, beginning at
 * entry `to`. */
static void copy_entries(const struct csr_parts *parts, int64_t to, const struct sparse *source,
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
static int pick_rows(lua_State *L)
{
    const char *where = "sparse:index";
    const struct sparse *sparse = sparse_argument(L, 1, where);
    struct picks picks = picks_argument(L, 2, sparse->rows, where);
    const int64_t *from = tensor_data(sparse->pointers);
    int64_t *pointers = new_pointers(L, picks.count);
    for (int64_t i = 0; i < picks.count; i++)
        pointers[i + 1] = pointers[i] + from[picks.row[i]] - from[picks.row[i] - 1];
    struct csr_parts parts = new_entries(L, pointers, pointers[picks.count], sparse->values->dtype);
    for (int64_t i = 0; i < picks.count; i++)
        copy_entries(&parts, pointers[i], sparse, from[picks.row[i] - 1],
                     pointers[i + 1] - pointers[i]);
    sparse_push(L, picks.count, sparse->columns, -3, -2, -1);
    return 1;
}

/* ---- Stacked ---- */

/* The matrix at this place of the list, which is at stack index 1 and keeps the matrix alive. */
static const struct sparse *member(lua_State *L, int64_t place, const char *where)
{
    lua_rawgeti(L, 1, place);
    const struct sparse *sparse = sparse_test(L, -1);
    if (!sparse)
        raise_error(L, where, "[%lld] is %s; expected a sparse matrix", (long long)place,
                    type_text(L, -1));
    lua_pop(L, 1);
    return sparse;
}

/* lk.sparse.stack{a, b, …} */
static int stack(lua_State *L)
{
    const char *where = "lk.sparse.stack";
    lua_settop(L, 1);
    int64_t count = lua_istable(L, 1) ? (int64_t)lua_rawlen(L, 1) : 0;
    if (count == 0)
        raise_error(L, where, "the argument is %s; expected a table with at least one matrix",
                    lua_istable(L, 1) ? "an empty table" : type_text(L, 1));
    const struct sparse *first = member(L, 1, where);
    int64_t rows = 0, entries = 0;
    for (int64_t i = 1; i <= count; i++) {
        const struct sparse *each = member(L, i, where);
        if (each->columns != first->columns || each->values->dtype != first->values->dtype)
            raise_error(L, where, "[%lld] is %s with %lld columns; expected %s with %lld, as [1]",
                        (long long)i, dtype_names[each->values->dtype], (long long)each->columns,
                        dtype_names[first->values->dtype], (long long)first->columns);
        rows += each->rows;
        entries += each->values->count;
    }
    int64_t *pointers = new_pointers(L, rows);
    struct csr_parts parts = new_entries(L, pointers, entries, first->values->dtype);
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

/* ---- Pruned ---- */

struct candidate {
    double value;
    int64_t place; /* of the entry in the matrix */
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

/* Fills `chosen` with the entries of a row whose value is `least` or more, in their order, and
 * returns how many there are. Not-a-number is never among them. */
static int64_t choose(const struct sparse *sparse, int64_t row, double least,
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
    return count;
}

/* Pushes room for the candidates of the longest row. */
static struct candidate *new_candidates(lua_State *L, const struct sparse *sparse)
{
    const int64_t *pointers = tensor_data(sparse->pointers);
    int64_t longest = 0;
    for (int64_t row = 0; row < sparse->rows; row++)
        if (pointers[row + 1] - pointers[row] > longest)
            longest = pointers[row + 1] - pointers[row];
    return lua_newuserdatauv(L, (size_t)longest * sizeof(struct candidate) + 1, 0);
}

/* s:prune(least, keep) */
static int prune(lua_State *L)
{
    const char *where = "sparse:prune";
    const struct sparse *sparse = sparse_argument(L, 1, where);
    double least = number_argument(L, 2, where, "the least value to keep");
    int64_t keep = INT64_MAX;
    if (!lua_isnoneornil(L, 3))
        keep = integer_argument(L, 3, where, "the number of entries to keep");
    if (keep < 0)
        raise_error(L, where, "%lld entries of each row to keep; expected 0 or more",
                    (long long)keep);
    struct candidate *chosen = new_candidates(L, sparse);
    int64_t entries = sparse->values->count;
    int64_t *pointers = new_pointers(L, sparse->rows);
    int64_t *place = tensor_data(tensor_new(L, DTYPE_I64, 1, &entries, false));
    for (int64_t row = 0; row < sparse->rows; row++) {
        int64_t count = choose(sparse, row, least, chosen), at = pointers[row];
        if (count > keep) {
            qsort(chosen, (size_t)count, sizeof *chosen, greatest_first);
            qsort(chosen, (size_t)keep, sizeof *chosen, in_place_order);
            count = keep;
        }
        for (int64_t i = 0; i < count; i++)
            place[at + i] = chosen[i].place;
        pointers[row + 1] = at + count;
    }
    struct csr_parts parts =
        new_entries(L, pointers, pointers[sparse->rows], sparse->values->dtype);
    /* Entries that are neighbours in the matrix are copied together, as a run. */
    for (int64_t i = 0, run; i < pointers[sparse->rows]; i += run) {
        for (run = 1; i + run < pointers[sparse->rows] && place[i + run] == place[i] + run;)
            run++;
        copy_entries(&parts, i, sparse, place[i], run);
    }
    lua_remove(L, -3); /* the tensor of places */
    sparse_push(L, sparse->rows, sparse->columns, -3, -2, -1);
    return 1;
}

/* ---- As dense tensors ---- */

/* s:topk(k) */
static int topk(lua_State *L)
{
    const char *where = "sparse:topk";
    const struct sparse *sparse = sparse_argument(L, 1, where);
    int64_t k = integer_argument(L, 2, where, "k");
    if (k < 0 || k > sparse->columns)
        raise_error(L, where, "k is %lld; expected from 0 to the number of columns, %lld",
                    (long long)k, (long long)sparse->columns);
    struct candidate *chosen = new_candidates(L, sparse);
    int64_t size[] = {sparse->rows, k};
    const struct tensor *values = tensor_new(L, sparse->values->dtype, 2, size, true);
    int64_t *columns = tensor_data(tensor_new(L, DTYPE_I64, 2, size, true));
    const int32_t *column_of = tensor_data(sparse->column_of);
    size_t element = dtype_sizes[values->dtype];
    for (int64_t row = 0; row < sparse->rows; row++) {
        int64_t count = choose(sparse, row, -HUGE_VAL, chosen);
        if (count > 1)
            qsort(chosen, (size_t)count, sizeof *chosen, greatest_first);
        count = count < k ? count : k;
        for (int64_t i = 0; i < count; i++) {
            columns[row * k + i] = column_of[chosen[i].place];
            memcpy(element_at(values, row * k + i), element_at(sparse->values, chosen[i].place),
                   element);
        }
    }
    return 2;
}

/* The place of the column's entry among the entries from `first` up to but not including `end`;
 * -1 if it has none. */
static int64_t find_column(const int32_t *column_of, int64_t first, int64_t end, int64_t column)
{
    int64_t beyond = end;
    while (first < end) {
        int64_t middle = first + (end - first) / 2;
        if (column_of[middle] < column)
            first = middle + 1;
        else
            end = middle;
    }
    return first < beyond && column_of[first] == column ? first : -1;
}

/* s:gather(columns) */
static int gather(lua_State *L)
{
    const char *where = "sparse:gather";
    const struct sparse *sparse = sparse_argument(L, 1, where);
    const struct tensor *list = tensor_argument(L, 2, where);
    if (list->dim != 2 || list->size[0] != sparse->rows ||
        (list->dtype != DTYPE_I64 && list->dtype != DTYPE_I32))
        raise_error(L, where, "the columns are %s of %s; expected i64 or i32 of [%lld, n]",
                    dtype_names[list->dtype], shape_text(list->dim, list->size),
                    (long long)sparse->rows);
    if (list->dtype != DTYPE_I64 || !tensor_is_contiguous(list)) {
        struct tensor *copy = tensor_like(L, list, DTYPE_I64);
        tensor_assign(L, copy, list, where);
        list = copy;
    }
    const struct tensor *values = tensor_new(L, sparse->values->dtype, 2, list->size, true);
    const int64_t *pointers = tensor_data(sparse->pointers), *wanted = tensor_data(list);
    const int32_t *column_of = tensor_data(sparse->column_of);
    size_t element = dtype_sizes[values->dtype];
    for (int64_t i = 0; i < list->count; i++) {
        int64_t row = i / list->size[1];
        if (wanted[i] < 0 || wanted[i] > sparse->columns)
            raise_error(L, where, "column %lld in row %lld; expected from 1 to %lld, or 0 for none",
                        (long long)wanted[i], (long long)row + 1, (long long)sparse->columns);
        int64_t place = find_column(column_of, pointers[row], pointers[row + 1], wanted[i]);
        if (place >= 0)
            memcpy(element_at(values, i), element_at(sparse->values, place), element);
    }
    return 1;
}

const luaL_Reg sparse_rows_methods[] = {
    {"index", pick_rows}, {"prune", prune}, {"topk", topk}, {"gather", gather}, {NULL, NULL},
};
const luaL_Reg sparse_rows_functions[] = {{"stack", stack}, {NULL, NULL}};
