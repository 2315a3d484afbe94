/* Invariants of a sparse matrix: its three parts are contiguous tensors in the user values; the
 * entries of row r (from 0) are pointers[r] … pointers[r + 1] - 1; within a row columns ascend
 * without repeating and lie in 1 … columns. A program can break the last invariant by writing to
 * the columns that row() shows, so a column is checked again wherever it is used as an address. */
#include "sparse/sparse.h"

#include <string.h>
#include <lauxlib.h>

#include "base/nearest.h"
#include "base/util.h"
#include "base/value_text.h"
#include "state/embedded.h"
#include "tensor/tensor_argument.h"
#include "tensor/tensor_copy.h"

static void push_class(lua_State *L);

struct sparse *sparse_test(lua_State *L, int index)
{
    struct sparse *sparse = luaL_testudata(L, index, SPARSE_CLASS);
    /* While the Lua state closes, the parts may be finalized before the last use of the matrix. */
    bool alive = sparse && sparse->pointers->storage && sparse->column_of->storage &&
                 sparse->values->storage;
    return alive ? sparse : NULL;
}

struct sparse *sparse_argument(lua_State *L, int index, const char *where)
{
    struct sparse *sparse = sparse_test(L, index);
    if (!sparse)
        raise_error(L, where, "argument %d is %s; expected a sparse matrix", index,
                    type_text(L, index));
    return sparse;
}

void sparse_bad_column(lua_State *L, const struct sparse *sparse, int32_t c, const char *where)
{
    raise_error(L, where, "a column was overwritten with %d; expected from 1 to %lld", c,
                (long long)sparse->columns);
}

/* ---- Making a matrix of its parts ---- */

static void check_part(lua_State *L, const struct tensor *part, const char *name, int64_t count,
                       bool dtype_fits, const char *dtypes)
{
    if (part->dim != 1 || part->count != count)
        raise_error(L, "sparse", "the %s have the shape %s; expected [%lld]", name,
                    shape_text(part->dim, part->size), (long long)count);
    if (!dtype_fits)
        raise_error(L, "sparse", "the %s are %s; expected %s", name, dtype_names[part->dtype],
                    dtypes);
}

static void check_columns(lua_State *L, const struct sparse *sparse, int64_t row, int64_t first,
                          int64_t end)
{
    const int32_t *column = tensor_data(sparse->column_of);
    for (int64_t i = first; i < end; i++) {
        if (column[i] < 1 || column[i] > sparse->columns)
            raise_error(L, "sparse", "column %d in row %lld; expected from 1 to %lld", column[i],
                        (long long)row + 1, (long long)sparse->columns);
        if (i > first && column[i] <= column[i - 1])
            raise_error(L, "sparse",
                        "column %d in row %lld comes after column %d; expected in ascending order",
                        column[i], (long long)row + 1, column[i - 1]);
    }
}

static void check_structure(lua_State *L, const struct sparse *sparse)
{
    const int64_t *pointers = tensor_data(sparse->pointers);
    int64_t entries = sparse->values->count;
    if (pointers[0] != 0 || pointers[sparse->rows] != entries)
        raise_error(L, "sparse", "the pointers go from %lld to %lld; expected 0 to %lld",
                    (long long)pointers[0], (long long)pointers[sparse->rows], (long long)entries);
    for (int64_t row = 0; row < sparse->rows; row++) {
        if (pointers[row + 1] < pointers[row] || pointers[row + 1] > entries)
            raise_error(L, "sparse",
                        "the pointers of row %lld descend; expected in ascending order",
                        (long long)row + 1);
        check_columns(L, sparse, row, pointers[row], pointers[row + 1]);
    }
}

/* Keeps the tensor at `index`, or a contiguous copy, as a user value of the matrix on the top. */
static const struct tensor *keep_part(lua_State *L, int index, enum sparse_part part)
{
    const struct tensor *tensor = tensor_check(L, index);
    if (tensor_is_contiguous(tensor))
        lua_pushvalue(L, index);
    else
        tensor = tensor_clone(L, tensor);
    lua_setiuservalue(L, -2, part);
    return tensor;
}

void sparse_push(lua_State *L, int64_t rows, int64_t columns, int pointers, int cols, int values)
{
    pointers = lua_absindex(L, pointers);
    cols = lua_absindex(L, cols);
    values = lua_absindex(L, values);
    if (rows < 0 || columns < 0 || columns > INT32_MAX || rows > INT64_MAX / 16)
        raise_error(L, "sparse",
                    "no matrix can have the shape [%lld, %lld]; expected at most %d columns",
                    (long long)rows, (long long)columns, INT32_MAX);
    struct sparse *sparse = lua_newuserdatauv(L, sizeof *sparse, 3);
    *sparse = (struct sparse){.rows = rows, .columns = columns};
    sparse->pointers = keep_part(L, pointers, SPARSE_POINTERS);
    sparse->column_of = keep_part(L, cols, SPARSE_COLUMNS);
    sparse->values = keep_part(L, values, SPARSE_VALUES);
    enum dtype dtype = sparse->values->dtype;
    int64_t entries = sparse->values->count;
    check_part(L, sparse->pointers, "pointers", rows + 1, sparse->pointers->dtype == DTYPE_I64,
               "i64");
    check_part(L, sparse->column_of, "columns", entries, sparse->column_of->dtype == DTYPE_I32,
               "i32");
    check_part(L, sparse->values, "values", entries, dtype_is_float(dtype), "f64 or f32");
    check_structure(L, sparse);
    push_class(L);
    lua_setmetatable(L, -2);
}

/* ---- Reading a matrix ---- */

static int size(lua_State *L)
{
    const struct sparse *sparse = sparse_argument(L, 1, "sparse:size");
    if (!lua_isnoneornil(L, 2)) {
        int64_t dim = integer_argument(L, 2, "sparse:size", "the dimension");
        if (dim != 1 && dim != 2)
            raise_error(L, "sparse:size", "there is no dimension %lld; expected 1 or 2",
                        (long long)dim);
        lua_pushinteger(L, dim == 1 ? sparse->rows : sparse->columns);
        return 1;
    }
    lua_createtable(L, 2, 0);
    lua_pushinteger(L, sparse->rows);
    lua_rawseti(L, -2, 1);
    lua_pushinteger(L, sparse->columns);
    lua_rawseti(L, -2, 2);
    return 1;
}

static void push_slice(lua_State *L, const struct tensor *part, int64_t first, int64_t count)
{
    /* An empty slice starts where the part does, so that no offset points past the storage. */
    int64_t offset = part->offset + (count ? first : 0);
    tensor_view(L, part->storage, part->dtype, offset, 1, &count, NULL);
}

/* Pushes the columns and the values of this row, counted from 0. */
static void push_row(lua_State *L, const struct sparse *sparse, int64_t row)
{
    const int64_t *pointers = tensor_data(sparse->pointers);
    int64_t first = pointers[row], count = pointers[row + 1] - first;
    push_slice(L, sparse->column_of, first, count);
    push_slice(L, sparse->values, first, count);
}

static int row_views(lua_State *L)
{
    const struct sparse *sparse = sparse_argument(L, 1, "sparse:row");
    push_row(L, sparse, position_argument(L, 2, "sparse:row", 0, sparse->rows));
    return 2;
}

static int next_row_views(lua_State *L)
{
    const struct sparse *sparse = sparse_argument(L, 1, "sparse:rows");
    /* The control variable counts rows from 1, so it is the index from 0 of the next row. */
    int64_t row = integer_argument(L, 2, "sparse:rows", "the row");
    if (row < 0 || row >= sparse->rows)
        return 0;
    lua_pushinteger(L, row + 1);
    push_row(L, sparse, row);
    return 3;
}

static int rows_iterator(lua_State *L)
{
    sparse_argument(L, 1, "sparse:rows");
    lua_pushcfunction(L, next_row_views);
    lua_pushvalue(L, 1);
    lua_pushinteger(L, 0);
    return 3;
}

static int values_view(lua_State *L)
{
    const struct sparse *sparse = sparse_argument(L, 1, "sparse:values");
    push_slice(L, sparse->values, 0, sparse->values->count);
    return 1;
}

static int triplets(lua_State *L)
{
    const struct sparse *sparse = sparse_argument(L, 1, "sparse:triplets");
    const int64_t *pointers = tensor_data(sparse->pointers);
    int64_t *row_of = tensor_data(tensor_like(L, sparse->values, DTYPE_I64));
    for (int64_t row = 0; row < sparse->rows; row++)
        for (int64_t i = pointers[row]; i < pointers[row + 1]; i++)
            row_of[i] = row + 1;
    tensor_assign(L, tensor_like(L, sparse->values, DTYPE_I64), sparse->column_of,
                  "sparse:triplets");
    tensor_clone(L, sparse->values);
    return 3;
}

static int to_string(lua_State *L)
{
    const struct sparse *sparse = sparse_argument(L, 1, "tostring");
    lua_pushfstring(L, "sparse %s [%I, %I] with %I entries", dtype_names[sparse->values->dtype],
                    (LUAI_UACINT)sparse->rows, (LUAI_UACINT)sparse->columns,
                    (LUAI_UACINT)sparse->values->count);
    return 1;
}

/* s.nnz, s.dtype and s.method: the methods are the upvalue. */
static int index_field(lua_State *L)
{
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL)
        return 1;
    const struct sparse *sparse = sparse_argument(L, 1, "sparse");
    const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
    if (strcmp(name, "nnz") == 0)
        lua_pushinteger(L, sparse->values->count);
    else if (strcmp(name, "dtype") == 0)
        lua_pushstring(L, dtype_names[sparse->values->dtype]);
    else
        raise_error(L, "sparse",
                    "there is no method or field %.40s%s; "
                    "the manual's page on sparse matrices lists them",
                    push_brief(L, 2), push_nearest_key(L, name, lua_upvalueindex(1)));
    return 1;
}

const luaL_Reg sparse_methods[] = {
    {"size", size},          {"row", row_views},     {"rows", rows_iterator},
    {"values", values_view}, {"triplets", triplets}, {NULL, NULL},
};

static void push_class(lua_State *L)
{
    if (!luaL_newmetatable(L, SPARSE_CLASS))
        return;
    lua_newtable(L);
    for (const luaL_Reg *const *methods = embedded_sparse_methods; *methods; methods++)
        luaL_setfuncs(L, *methods, 0);
    lua_pushcclosure(L, index_field, 1);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, to_string);
    lua_setfield(L, -2, "__tostring");
}

static int is_sparse(lua_State *L)
{
    luaL_checkany(L, 1);
    lua_pushboolean(L, sparse_test(L, 1) != NULL);
    return 1;
}

const luaL_Reg sparse_functions[] = {{"is", is_sparse}, {NULL, NULL}};

int luaopen_lkrun_core_sparse(lua_State *L);
int luaopen_lkrun_core_sparse(lua_State *L)
{
    lua_newtable(L);
    for (const luaL_Reg *const *functions = embedded_sparse_functions; *functions; functions++)
        luaL_setfuncs(L, *functions, 0);
    return 1;
}
