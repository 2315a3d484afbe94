/* Rows picked by a list of indices: index, index_add, index_copy, index_fill. A row is what
 * select(1, i) gives: an element of a vector, a row of a matrix. */
#include "tensor/tensor_index.h"

#include <string.h>
#include <lauxlib.h>

#include "base/util.h"
#include "base/value_text.h"
#include "tensor/product.h"
#include "tensor/tensor_argument.h"
#include "tensor/tensor_copy.h"
#include "tensor/tensor_scalar.h"
#include "tensor/tensor_walk.h"

static void check_picks(lua_State *L, const struct picks *picks, int64_t rows, const char *where)
{
    for (int64_t i = 0; i < picks->count; i++)
        if (picks->row[i] < 1 || picks->row[i] > rows)
            raise_error(L, where, "index %lld at place %lld of the list; expected from 1 to %lld",
                        (long long)picks->row[i], (long long)i + 1, (long long)rows);
}

static struct picks picks_from_tensor(lua_State *L, const struct tensor *list, const char *where)
{
    if (list->dim != 1 || (list->dtype != DTYPE_I64 && list->dtype != DTYPE_I32))
        raise_error(L, where, "the indices are %s of %s; expected i64 or i32 of one dimension",
                    dtype_names[list->dtype], shape_text(list->dim, list->size));
    if (list->dtype == DTYPE_I64 && tensor_is_contiguous(list))
        return (struct picks){tensor_data(list), list->count};
    const struct tensor *copy = tensor_like(L, list, DTYPE_I64);
    tensor_assign(L, copy, list, where);
    return (struct picks){tensor_data(copy), list->count};
}

static struct picks picks_from_table(lua_State *L, int index, const char *where)
{
    int64_t count = (int64_t)lua_rawlen(L, index);
    int64_t *row = lua_newuserdatauv(L, (size_t)count * sizeof *row + 1, 0);
    for (int64_t i = 0; i < count; i++) {
        lua_rawgeti(L, index, i + 1);
        row[i] = integer_argument(L, -1, where, "an index of the list");
        lua_pop(L, 1);
    }
    return (struct picks){row, count};
}

struct picks picks_argument(lua_State *L, int index, int64_t rows, const char *where)
{
    const struct tensor *list = tensor_test(L, index);
    if (!list && !lua_istable(L, index))
        raise_error(L, where, "the indices are %s; expected a table or a tensor of i64 or i32",
                    type_text(L, index));
    struct picks picks =
        list ? picks_from_tensor(L, list, where) : picks_from_table(L, index, where);
    check_picks(L, &picks, rows, where);
    return picks;
}

static struct picks rows_of_tensor(lua_State *L, int index, const struct tensor *tensor,
                                   const char *where)
{
    if (tensor->dim == 0)
        raise_error(L, where, "the tensor is a scalar; it has no rows");
    return picks_argument(L, index, tensor->size[0], where);
}

/* Makes `view` the row with index `row`, counted from 1. The view holds no reference to the
 * storage: it is valid while the tensor is. */
static void view_row(struct tensor *view, const struct tensor *tensor, int64_t row)
{
    *view = (struct tensor){.storage = tensor->storage,
                            .dtype = tensor->dtype,
                            .dim = tensor->dim - 1,
                            .offset = tensor->offset + (row - 1) * tensor->stride[0],
                            .count = tensor->count / tensor->size[0],
                            .size = tensor->size + 1,
                            .stride = tensor->stride + 1};
}

static int64_t elements_of_row(const struct tensor *tensor)
{
    return tensor->size[0] ? tensor->count / tensor->size[0] : 0;
}

/* Whether the elements of each row are contiguous; false for a tensor without elements. */
static bool has_flat_rows(const struct tensor *tensor)
{
    if (tensor->count == 0)
        return false;
    struct tensor row;
    view_row(&row, tensor, 1);
    return tensor_is_contiguous(&row);
}

static void copy_tensor_row(const struct tensor *to, const struct tensor *from)
{
    size_t element = dtype_sizes[to->dtype];
    struct walk walk;
    const struct tensor *operands[] = {to, from};
    for (walk_begin(&walk, 2, operands, WALK_ANY_ORDER); walk.rows; walk_next(&walk))
        copy_row(element, walk.length, walk.at[0], walk.step[0], walk.at[1], walk.step[1]);
}

/* to[to_rows[i]] = from[from_rows[i]] for every i; NULL stands for 1, 2, … */
static void copy_rows(const struct tensor *to, const int64_t *to_rows, const struct tensor *from,
                      const int64_t *from_rows, int64_t count)
{
    if (to->count == 0 || from->count == 0)
        return;
    size_t bytes = (size_t)elements_of_row(to) * dtype_sizes[to->dtype];
    bool flat = has_flat_rows(to) && has_flat_rows(from);
    for (int64_t i = 0; i < count; i++) {
        int64_t into = to_rows ? to_rows[i] : i + 1, out_of = from_rows ? from_rows[i] : i + 1;
        if (flat) {
            memcpy(element_at(to, (into - 1) * to->stride[0]),
                   element_at(from, (out_of - 1) * from->stride[0]), bytes);
        } else {
            struct tensor target, source;
            view_row(&target, to, into);
            view_row(&source, from, out_of);
            copy_tensor_row(&target, &source);
        }
    }
}

/* t:index(rows, out) → out, or a new tensor: the picked rows, in the order of the list */
static int index_rows(lua_State *L)
{
    const char *where = "tensor:index";
    lua_settop(L, 3);
    const struct tensor *tensor = tensor_argument(L, 1, where);
    struct picks picks = rows_of_tensor(L, 2, tensor, where);
    int64_t size[TENSOR_MAX_DIM];
    memcpy(size, tensor->size, (size_t)tensor->dim * sizeof *size);
    size[0] = picks.count;
    const struct tensor *out = out_argument(L, 3, tensor->dtype, tensor->dim, size, where);
    if (shares_memory(out, tensor))
        tensor = tensor_clone(L, tensor);
    copy_rows(out, NULL, tensor, picks.row, picks.count);
    lua_settop(L, 3);
    return 1;
}

/* The argument with the rows to write: as many as there are picks, shaped like the target's
 * rows, and copied if they share memory with the target. */
static const struct tensor *rows_argument(lua_State *L, int index, const struct tensor *target,
                                          const struct picks *picks, const char *where)
{
    const struct tensor *rows = tensor_argument(L, index, where);
    bool fits = rows->dim == target->dim && rows->size[0] == picks->count;
    for (int d = 1; fits && d < rows->dim; d++)
        fits = rows->size[d] == target->size[d];
    if (!fits)
        raise_error(L, where,
                    "%lld indices of a tensor of %s and rows of %s; expected a row for each index",
                    (long long)picks->count, shape_text(target->dim, target->size),
                    shape_text(rows->dim, rows->size));
    check_same_dtype(L, target, rows, where);
    return shares_memory(target, rows) ? tensor_clone(L, rows) : rows;
}

static int index_copy(lua_State *L)
{
    const char *where = "tensor:index_copy";
    const struct tensor *target = tensor_argument(L, 1, where);
    check_target(L, target, where);
    struct picks picks = rows_of_tensor(L, 2, target, where);
    const struct tensor *rows = rows_argument(L, 3, target, &picks, where);
    copy_rows(target, picks.row, rows, NULL, picks.count);
    lua_settop(L, 1);
    return 1;
}

static int index_add(lua_State *L)
{
    const char *where = "tensor:index_add";
    const struct tensor *target = tensor_argument(L, 1, where);
    check_target(L, target, where);
    if (target->dtype == DTYPE_BOOL)
        raise_error(L, where, "the tensor is bool, which has no arithmetic; use to('u8')");
    union scalar alpha = scalar_of(target->dtype, 1);
    if (!lua_isnoneornil(L, 4))
        alpha = scalar_argument(L, 4, where, target->dtype);
    struct picks picks = rows_of_tensor(L, 2, target, where);
    const struct tensor *rows = rows_argument(L, 3, target, &picks, where);
    for (int64_t i = 0; i < picks.count && rows->count; i++) {
        struct tensor into, row;
        view_row(&into, target, picks.row[i]);
        view_row(&row, rows, i + 1);
        product_axpy(L, alpha, &row, &into);
    }
    lua_settop(L, 1);
    return 1;
}

static int index_fill(lua_State *L)
{
    const char *where = "tensor:index_fill";
    const struct tensor *target = tensor_argument(L, 1, where);
    check_target(L, target, where);
    union scalar scalar = scalar_argument(L, 3, where, target->dtype);
    struct picks picks = rows_of_tensor(L, 2, target, where);
    for (int64_t i = 0; i < picks.count; i++) {
        struct tensor row;
        view_row(&row, target, picks.row[i]);
        tensor_fill(&row, scalar);
    }
    lua_settop(L, 1);
    return 1;
}

const luaL_Reg tensor_index_methods[] = {
    {"index", index_rows},
    {"index_copy", index_copy},
    {"index_add", index_add},
    {"index_fill", index_fill},
    {NULL, NULL},
};
