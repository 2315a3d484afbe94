/* SciPy's indices count from 0, its columns may repeat and come in any order, and it has several
 * layouts. What is loaded becomes CSR with indices from 1 and ascending columns. */
#include "files/scipy.h"

#include <string.h>
#include <lauxlib.h>

#include "base/util.h"
#include "sparse/sparse.h"
#include "sparse/sparse_build.h"
#include "tensor/tensor.h"
#include "tensor/tensor_copy.h"

#define WHERE "sparse"

/* Stack indices of scipy_to_sparse. */
enum { ARRAYS = 1, FORMAT };

/* ---- The entry that names the layout ---- */

#define HEADER_BYTES 128
#define PREAMBLE     "\x93NUMPY\x01"
#define DICTIONARY   "{'descr': '|S3', 'fortran_order': False, 'shape': (), }"

bool scipy_read_format(const char *bytes, size_t length, char format[4])
{
    static const char *const known[] = {"csr", "csc", "coo", "bsr", "dia", "lil", "dok"};
    if (length < 16 || memcmp(bytes, PREAMBLE, strlen(PREAMBLE)) != 0 ||
        !memmem(bytes, length, "'|S3'", 5))
        return false;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (memcmp(bytes + length - 3, known[i], 3) == 0) {
            strcpy(format, known[i]);
            return true;
        }
    return false;
}

const char *scipy_csr_format(size_t *length)
{
    static _Thread_local char bytes[HEADER_BYTES + 3];
    size_t dictionary = HEADER_BYTES - 10;
    memset(bytes, ' ', HEADER_BYTES);
    memcpy(bytes, PREAMBLE, 8); /* its 0 is the minor version */
    bytes[8] = (char)dictionary;
    bytes[9] = 0;
    memcpy(bytes + 10, DICTIONARY, strlen(DICTIONARY));
    bytes[HEADER_BYTES - 1] = '\n';
    memcpy(bytes + HEADER_BYTES, "csr", 3);
    *length = sizeof bytes;
    return bytes;
}

/* ---- To a matrix ---- */

/* Every row takes memory, even an empty one. A matrix may have ROWS_FREE rows, and more than that
 * only if there are no more than ROWS_OF_ENTRY for each of its entries. */
#define ROWS_FREE     (1 << 25)
#define ROWS_OF_ENTRY 100

/* Pushes a copy of the array with this dtype. */
static const struct tensor *push_array(lua_State *L, const char *name, enum dtype dtype)
{
    lua_getfield(L, ARRAYS, name);
    const struct tensor *array = tensor_test(L, -1);
    if (!array || array->dim != 1)
        raise_plain(L, "there is no array '%s' of one dimension, as SciPy's layouts have", name);
    if (!dtype_is_float(dtype) && dtype_is_float(array->dtype))
        raise_plain(L, "'%s' is %s; expected integers", name, dtype_names[array->dtype]);
    const struct tensor *copy = tensor_like(L, array, dtype);
    tensor_assign(L, copy, array, WHERE);
    lua_remove(L, -2);
    return copy;
}

/* Pushes the values as f32 or f64: the array itself if it is so already, else a copy. */
static const struct tensor *push_values(lua_State *L)
{
    lua_getfield(L, ARRAYS, "data");
    const struct tensor *data = tensor_test(L, -1);
    bool is_single = data && data->dtype == DTYPE_F32;
    if (!data || !dtype_is_float(data->dtype) || data->dim != 1) {
        lua_pop(L, 1);
        return push_array(L, "data", is_single ? DTYPE_F32 : DTYPE_F64);
    }
    return data;
}

/* Pushes a copy of these indices, counted from 1. */
static const struct tensor *push_from_one(lua_State *L, const char *name)
{
    const struct tensor *indices = push_array(L, name, DTYPE_I64);
    int64_t *at = tensor_data(indices);
    for (int64_t i = 0; i < indices->count; i++)
        if (__builtin_add_overflow(at[i], 1, &at[i]))
            raise_plain(L, "'%s' has an index beyond 2^63", name);
    return indices;
}

static void check_pointers(lua_State *L, const struct tensor *pointers, int64_t rows,
                           int64_t entries)
{
    const int64_t *at = tensor_data(pointers);
    bool fine = rows >= 0 && rows < INT64_MAX && pointers->count == rows + 1 && at[0] == 0 &&
                at[rows] == entries;
    for (int64_t row = 0; fine && row < rows; row++)
        fine = at[row] <= at[row + 1] && at[row + 1] <= entries;
    if (!fine)
        raise_plain(L, "'indptr' does not go from 0 to the %lld entries in %lld steps of 0 or more",
                    (long long)entries, (long long)rows);
}

/* Pushes the matrix if its columns ascend in each row, so that indices only have to be made to
 * count from 1; else false, with nothing pushed. */
static bool push_canonical(lua_State *L, const int64_t size[2])
{
    int top = lua_gettop(L);
    const struct tensor *indices = push_array(L, "indices", DTYPE_I64);
    const struct tensor *pointers = push_array(L, "indptr", DTYPE_I64);
    const int64_t *column = tensor_data(indices), *at = tensor_data(pointers);
    check_pointers(L, pointers, size[0], indices->count);
    bool fine = size[1] <= INT32_MAX;
    for (int64_t row = 0; fine && row < size[0]; row++)
        for (int64_t i = at[row]; fine && i < at[row + 1]; i++)
            fine = column[i] >= 0 && column[i] < size[1] &&
                   (i == at[row] || column[i] > column[i - 1]);
    if (fine) {
        int32_t *to = tensor_data(tensor_like(L, indices, DTYPE_I32));
        for (int64_t i = 0; i < indices->count; i++)
            to[i] = (int32_t)column[i] + 1;
        push_values(L);
        sparse_push(L, size[0], size[1], top + 2, top + 3, top + 4);
        lua_replace(L, top + 1);
    }
    lua_settop(L, fine ? top + 1 : top);
    return fine;
}

/* Pushes the row of every entry, from 1, as the pointers say. */
static void push_rows_of(lua_State *L, int64_t rows, int64_t entries)
{
    const struct tensor *pointers = push_array(L, "indptr", DTYPE_I64);
    check_pointers(L, pointers, rows, entries);
    const int64_t *at = tensor_data(pointers);
    int64_t *row_of = tensor_data(tensor_new(L, DTYPE_I64, 1, &entries, false));
    for (int64_t row = 0; row < rows; row++)
        for (int64_t i = at[row]; i < at[row + 1]; i++)
            row_of[i] = row + 1;
    lua_remove(L, -2);
}

/* Pushes the matrix of these rows, columns and values, whatever their order. */
static void push_triplets(lua_State *L, const char *format, const int64_t size[2])
{
    lua_pushcfunction(L, sparse_csr);
    if (strcmp(format, "coo") == 0) {
        push_from_one(L, "row");
        push_from_one(L, "col");
    } else {
        bool by_column = strcmp(format, "csc") == 0;
        int64_t entries = push_from_one(L, "indices")->count;
        push_rows_of(L, size[by_column], entries);
        if (!by_column)
            lua_insert(L, -2);
    }
    const struct tensor *values = push_values(L);
    if (size[0] > ROWS_FREE && size[0] / ROWS_OF_ENTRY > values->count)
        raise_plain(L, "its shape has %lld rows, which its %lld entries do not justify",
                    (long long)size[0], (long long)values->count);
    lua_createtable(L, 2, 0);
    for (int d = 0; d < 2; d++) {
        lua_pushinteger(L, size[d]);
        lua_rawseti(L, -2, d + 1);
    }
    lua_call(L, 4, 1);
}

int scipy_to_sparse(lua_State *L)
{
    const char *format = lua_tostring(L, FORMAT);
    if (strcmp(format, "csr") != 0 && strcmp(format, "csc") != 0 && strcmp(format, "coo") != 0)
        raise_plain(L, "its layout is %s; expected csr, csc or coo: matrix.tocsr()", format);
    const struct tensor *shape = push_array(L, "shape", DTYPE_I64);
    if (shape->count != 2)
        raise_plain(L, "its shape has %lld sizes; expected 2", (long long)shape->count);
    int64_t size[2];
    memcpy(size, tensor_data(shape), sizeof size);
    if (strcmp(format, "csr") != 0 || !push_canonical(L, size))
        push_triplets(L, format, size);
    return 1;
}

/* ---- From a matrix ---- */

void scipy_push_arrays(lua_State *L, int index)
{
    const struct sparse *sparse = sparse_test(L, index);
    int64_t sizes = 2;
    lua_createtable(L, 0, 4);
    const struct tensor *shape = tensor_new(L, DTYPE_I64, 1, &sizes, false);
    memcpy(tensor_data(shape), (int64_t[]){sparse->rows, sparse->columns}, 2 * sizeof(int64_t));
    lua_setfield(L, -2, "shape");
    const struct tensor *indices = tensor_like(L, sparse->column_of, DTYPE_I32);
    const int32_t *from = tensor_data(sparse->column_of);
    int32_t *to = tensor_data(indices);
    for (int64_t i = 0; i < indices->count; i++)
        to[i] = from[i] - 1;
    lua_setfield(L, -2, "indices");
    lua_getiuservalue(L, index, SPARSE_POINTERS);
    lua_setfield(L, -2, "indptr");
    lua_getiuservalue(L, index, SPARSE_VALUES);
    lua_setfield(L, -2, "data");
}
