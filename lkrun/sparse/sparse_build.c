/* Sparse matrices from triplets, and transposed ones. Both ways count the entries of each row, add
 * the counts up to pointers, and then put every entry into its row. */
#include "sparse/sparse_build.h"

#include <stdlib.h>
#include <string.h>
#include <lauxlib.h>

#include "base/util.h"
#include "base/value_text.h"
#include "tensor/tensor_argument.h"
#include "tensor/tensor_copy.h"
#include "tensor/tensor_element.h"
#include "sparse/sparse.h"

/* ---- From triplets ---- */

/* Pushes a list of coordinates as i64: integers from 1 to `size`, from a table or a tensor. */
static const struct tensor *coordinates(lua_State *L, int index, const char *name, int64_t size,
                                        const char *where)
{
    const struct tensor *list = tensor_test(L, index);
    if (list && list->dtype != DTYPE_I64 && list->dtype != DTYPE_I32)
        raise_error(L, where, "the %ss are %s; expected i64 or i32", name,
                    dtype_names[list->dtype]);
    if (list && list->dim != 1)
        raise_error(L, where, "the %ss have the shape %s; expected one dimension", name,
                    shape_text(list->dim, list->size));
    if (!list && !lua_istable(L, index))
        raise_error(L, where, "the %ss are %s; expected a table or a tensor", name,
                    type_text(L, index));
    struct tensor *copy;
    if (list) {
        copy = tensor_like(L, list, DTYPE_I64);
        tensor_assign(L, copy, list, where);
    } else {
        copy = tensor_from_table(L, index, DTYPE_I64, where);
    }
    const int64_t *value = tensor_data(copy);
    for (int64_t i = 0; i < copy->count; i++)
        if (value[i] < 1 || value[i] > size)
            raise_error(L, where, "entry %lld is in %s %lld; expected from 1 to %lld",
                        (long long)i + 1, name, (long long)value[i], (long long)size);
    return copy;
}

/* Pushes the values as f64 or f32. */
static const struct tensor *values_argument(lua_State *L, int index, const char *where)
{
    const struct tensor *values = tensor_test(L, index);
    if (!values && !lua_istable(L, index))
        raise_error(L, where, "the values are %s; expected a table or a tensor",
                    type_text(L, index));
    if (!values)
        return tensor_from_table(L, index, DTYPE_F64, where);
    enum dtype dtype = values->dtype == DTYPE_F32 ? DTYPE_F32 : DTYPE_F64;
    const struct tensor *copy = tensor_like(L, values, dtype);
    tensor_assign(L, copy, values, where);
    return copy;
}

/* An entry of a row. */
struct placed {
    int64_t column;
    int64_t from; /* its position in the lists of triplets */
};

static int by_column(const void *left, const void *right)
{
    const struct placed *a = left, *b = right;
    if (a->column != b->column)
        return a->column < b->column ? -1 : 1;
    return a->from < b->from ? -1 : 1;
}

/* Turns counts into pointers: on entry, counts[r + 1] is the number of entries of row r;
 * afterwards, it is the number of entries in the rows up to and including r. */
static void sum_counts(int64_t *counts, int64_t rows)
{
    for (int64_t row = 0; row < rows; row++)
        counts[row + 1] += counts[row];
}

/* Groups the entries by row, columns ascending; entries of the same column keep the order of the
 * lists. Fills in `pointers` and `places`, which has room for all entries. */
static void order_entries(int64_t entries, const int64_t *row, const int64_t *column, int64_t rows,
                          int64_t *pointers, struct placed *places)
{
    for (int64_t i = 0; i < entries; i++)
        pointers[row[i]]++;
    sum_counts(pointers, rows);
    /* pointers[r + 1] moves from the end of row r down to its start while entries are placed from
     * the last to the first. A start belongs in pointers[r], so all pointers then move by one
     * place. */
    for (int64_t i = entries - 1; i >= 0; i--)
        places[--pointers[row[i]]] = (struct placed){column[i], i};
    memmove(pointers, pointers + 1, (size_t)rows * sizeof *pointers);
    pointers[rows] = entries;
    for (int64_t r = 0; r < rows; r++) {
        struct placed *first = places + pointers[r], *end = places + pointers[r + 1];
        bool sorted = true;
        for (struct placed *p = first; sorted && p + 1 < end; p++)
            sorted = p[0].column <= p[1].column;
        if (!sorted)
            qsort(first, (size_t)(end - first), sizeof *first, by_column);
    }
}

static int64_t count_distinct(const int64_t *pointers, int64_t rows, const struct placed *places)
{
    int64_t distinct = 0;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = pointers[r]; i < pointers[r + 1]; i++)
            distinct += i == pointers[r] || places[i].column != places[i - 1].column;
    return distinct;
}

static void add_value(enum dtype dtype, void *to, int64_t at, const void *from, int64_t source)
{
    if (dtype == DTYPE_F64)
        ((double *)to)[at] += ((const double *)from)[source];
    else
        ((float *)to)[at] += ((const float *)from)[source];
}

/* Adds up the entries of the same row and column, in the order of the lists. */
static void sum_duplicates(const struct placed *places, int64_t rows, int64_t *pointers,
                           const struct tensor *from, int32_t *columns, const struct tensor *to)
{
    int64_t kept = 0, first = 0;
    for (int64_t r = 0; r < rows; r++) {
        int64_t end = pointers[r + 1];
        for (int64_t i = first; i < end; i++) {
            bool repeats = i > first && places[i].column == places[i - 1].column;
            kept += !repeats;
            columns[kept - 1] = (int32_t)places[i].column;
            add_value(to->dtype, tensor_data(to), kept - 1, tensor_data(from), places[i].from);
        }
        first = end;
        pointers[r + 1] = kept;
    }
}

static void check_lists(lua_State *L, const struct tensor *row, const struct tensor *column,
                        const struct tensor *value, const char *where)
{
    if (value->dim != 1 || column->count != row->count || value->count != row->count)
        raise_error(L, where, "%lld rows, %lld columns and values of %s; expected as many of each",
                    (long long)row->count, (long long)column->count,
                    shape_text(value->dim, value->size));
}

int sparse_csr(lua_State *L)
{
    const char *where = "lk.sparse.csr";
    lua_settop(L, 4);
    int64_t size[TENSOR_MAX_DIM];
    int dim = shape_argument(L, 4, where, false, size);
    if (dim != 2)
        raise_error(L, where, "the shape is %s; expected [rows, columns]", shape_text(dim, size));
    if (size[1] > INT32_MAX)
        raise_error(L, where, "%lld columns; expected at most %d", (long long)size[1], INT32_MAX);
    const struct tensor *row = coordinates(L, 1, "row", size[0], where);
    const struct tensor *column = coordinates(L, 2, "column", size[1], where);
    const struct tensor *value = values_argument(L, 3, where);
    check_lists(L, row, column, value, where);
    struct placed *places = lua_newuserdatauv(L, (size_t)row->count * sizeof *places + 1, 0);
    int64_t pointer_count = size[0] + 1;
    int64_t *pointers = tensor_data(tensor_new(L, DTYPE_I64, 1, &pointer_count, true));
    order_entries(row->count, tensor_data(row), tensor_data(column), size[0], pointers, places);
    int64_t entries = count_distinct(pointers, size[0], places);
    const struct tensor *columns = tensor_new(L, DTYPE_I32, 1, &entries, false);
    const struct tensor *values = tensor_new(L, value->dtype, 1, &entries, true);
    sum_duplicates(places, size[0], pointers, value, tensor_data(columns), values);
    sparse_push(L, size[0], size[1], -3, -2, -1);
    return 1;
}

/* ---- Transpose ---- */

static int transpose(lua_State *L)
{
    const char *where = "sparse:t";
    const struct sparse *sparse = sparse_argument(L, 1, where);
    const int64_t *from = tensor_data(sparse->pointers);
    const int32_t *column = tensor_data(sparse->column_of);
    int64_t entries = sparse->values->count;
    int64_t pointer_count = sparse->columns + 1;
    if (sparse->rows > INT32_MAX)
        raise_error(L, where, "%lld rows, which become columns; expected at most %d",
                    (long long)sparse->rows, INT32_MAX);
    int64_t *pointers = tensor_data(tensor_new(L, DTYPE_I64, 1, &pointer_count, true));
    int32_t *row_of = tensor_data(tensor_new(L, DTYPE_I32, 1, &entries, false));
    char *value = tensor_data(tensor_new(L, sparse->values->dtype, 1, &entries, false));
    size_t element = dtype_sizes[sparse->values->dtype];
    for (int64_t i = 0; i < entries; i++) {
        sparse_column(L, sparse, column[i], where);
        pointers[column[i]]++;
    }
    sum_counts(pointers, sparse->columns);
    /* As in order_entries, each pointer moves from the end of its row down to the start. */
    for (int64_t row = sparse->rows - 1; row >= 0; row--) {
        for (int64_t i = from[row + 1] - 1; i >= from[row]; i--) {
            int64_t to = --pointers[column[i]];
            row_of[to] = (int32_t)row + 1;
            memcpy(value + (size_t)to * element,
                   (const char *)tensor_data(sparse->values) + (size_t)i * element, element);
        }
    }
    memmove(pointers, pointers + 1, (size_t)sparse->columns * sizeof *pointers);
    pointers[sparse->columns] = entries;
    sparse_push(L, sparse->columns, sparse->rows, -3, -2, -1);
    return 1;
}

const luaL_Reg sparse_build_methods[] = {{"t", transpose}, {NULL, NULL}};
const luaL_Reg sparse_build_functions[] = {{"csr", sparse_csr}, {NULL, NULL}};
