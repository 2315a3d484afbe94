/* Invariants of a sparse matrix: its three parts are contiguous tensors in the user values; the
 * entries of row r (from 0) are pointers[r] … pointers[r + 1] - 1; within a row columns ascend
 * without repeating and lie in 1 … columns. Whoever writes the parts by a view keeps to that:
 * columns are checked again where they are used as an address. */
#include "sparse.h"

#include "tensor_class.h"
#include "util.h"

static int size(lua_State *L);
static const luaL_Reg methods[] = {{"size", size}, {NULL, NULL}};

static void push_class(lua_State *L)
{
    if (luaL_getmetatable(L, SPARSE_CLASS) == LUA_TTABLE)
        return;
    lua_pop(L, 1);
    register_class(L, SPARSE_CLASS, methods);
    luaL_getmetatable(L, SPARSE_CLASS);
}

struct sparse *sparse_test(lua_State *L, int index)
{
    return luaL_testudata(L, index, SPARSE_CLASS);
}

static void check_part(lua_State *L, int index, const char *name, int64_t count, bool dtype_ok,
                       const char *dtypes)
{
    const struct tensor *part = tensor_test(L, index);
    if (part->dim != 1 || (count >= 0 && part->count != count))
        raise_error(L, "sparse", "%s have the shape %s; [%lld] is expected", name,
                    shape_text(part->dim, part->size), (long long)count);
    if (!dtype_ok)
        raise_error(L, "sparse", "%s are %s; %s is expected", name, dtype_names[part->dtype],
                    dtypes);
}

static void check_structure(lua_State *L, int64_t rows, int64_t columns, const int64_t *pointers,
                            const int32_t *column, int64_t entries)
{
    if (pointers[0] != 0 || pointers[rows] != entries)
        raise_error(L, "sparse", "the pointers go from %lld to %lld; 0 to %lld is expected",
                    (long long)pointers[0], (long long)pointers[rows], (long long)entries);
    for (int64_t row = 0; row < rows; row++) {
        if (pointers[row + 1] < pointers[row] || pointers[row + 1] > entries)
            raise_error(L, "sparse", "the pointers of row %lld do not ascend", (long long)row + 1);
        for (int64_t i = pointers[row]; i < pointers[row + 1]; i++) {
            if (column[i] < 1 || column[i] > columns)
                raise_error(L, "sparse", "column %d in row %lld; columns are from 1 to %lld",
                            column[i], (long long)row + 1, (long long)columns);
            if (i > pointers[row] && column[i] <= column[i - 1])
                raise_error(L, "sparse",
                            "column %d in row %lld comes after column %d; "
                            "columns ascend in a row",
                            column[i], (long long)row + 1, column[i - 1]);
        }
    }
}

static void push_contiguous(lua_State *L, int index)
{
    const struct tensor *part = tensor_test(L, index);
    if (tensor_is_contiguous(part))
        lua_pushvalue(L, index);
    else
        tensor_clone(L, part);
}

void sparse_push(lua_State *L, int64_t rows, int64_t columns, int pointers, int cols, int values)
{
    int parts[] = {lua_absindex(L, pointers), lua_absindex(L, cols), lua_absindex(L, values)};
    if (rows < 0 || columns < 0 || columns > INT32_MAX || rows > INT64_MAX / 8 - 1)
        raise_error(L, "sparse", "no matrix can have the shape [%lld, %lld]", (long long)rows,
                    (long long)columns);
    enum dtype dtype[3];
    for (int i = 0; i < 3; i++)
        dtype[i] = tensor_check(L, parts[i])->dtype;
    check_part(L, parts[0], "the pointers", rows + 1, dtype[0] == DTYPE_I64, "i64");
    check_part(L, parts[1], "the columns", -1, dtype[1] == DTYPE_I32, "i32");
    int64_t entries = tensor_check(L, parts[1])->count;
    check_part(L, parts[2], "the values", entries, dtype_is_float(dtype[2]), "f64 or f32");

    struct sparse *sparse = lua_newuserdatauv(L, sizeof *sparse, 3);
    *sparse = (struct sparse){rows, columns};
    for (int i = 0; i < 3; i++) {
        push_contiguous(L, parts[i]);
        parts[i] = lua_gettop(L);
        lua_pushvalue(L, -1);
        lua_setiuservalue(L, -3 - i, i + 1);
    }
    check_structure(L, rows, columns, tensor_data(tensor_check(L, parts[0])),
                    tensor_data(tensor_check(L, parts[1])), entries);
    lua_pop(L, 3);
    push_class(L);
    lua_setmetatable(L, -2);
}

static int size(lua_State *L)
{
    const struct sparse *sparse = luaL_checkudata(L, 1, SPARSE_CLASS);
    lua_createtable(L, 2, 0);
    lua_pushinteger(L, sparse->rows);
    lua_rawseti(L, -2, 1);
    lua_pushinteger(L, sparse->columns);
    lua_rawseti(L, -2, 2);
    return 1;
}
