/* Views: tensors of another shape over the same storage. */
#include <string.h>
#include <lauxlib.h>

#include "base/util.h"
#include "tensor/tensor_argument.h"
#include "tensor/tensor_copy.h"

static int push_view(lua_State *L, const struct tensor *tensor, int64_t offset, int dim,
                     const int64_t *size, const int64_t *stride)
{
    tensor_view(L, tensor->storage, tensor->dtype, offset, dim, size, stride);
    return 1;
}

static int select_one(lua_State *L)
{
    const char *where = "tensor:select";
    const struct tensor *tensor = tensor_argument(L, 1, where);
    int d = dim_argument(L, 2, where, tensor);
    int64_t position = position_argument(L, 3, where, d, tensor->size[d]);
    int64_t size[TENSOR_MAX_DIM], stride[TENSOR_MAX_DIM];
    for (int from = 0, to = 0; from < tensor->dim; from++) {
        if (from == d)
            continue;
        size[to] = tensor->size[from];
        stride[to++] = tensor->stride[from];
    }
    return push_view(L, tensor, tensor->offset + position * tensor->stride[d], tensor->dim - 1,
                     size, stride);
}

static int narrow(lua_State *L)
{
    const char *where = "tensor:narrow";
    const struct tensor *tensor = tensor_argument(L, 1, where);
    int d = dim_argument(L, 2, where, tensor);
    int64_t first = integer_argument(L, 3, where, "the first index");
    int64_t count = integer_argument(L, 4, where, "the number of indices");
    if (count < 0 || first < 1 || first - 1 > tensor->size[d] - count)
        raise_error(L, where,
                    "%lld from index %lld in dimension %d; expected indices from 1 to %lld",
                    (long long)count, (long long)first, d + 1, (long long)tensor->size[d]);
    int64_t size[TENSOR_MAX_DIM];
    memcpy(size, tensor->size, (size_t)tensor->dim * sizeof *size);
    size[d] = count;
    /* An empty view starts where the tensor does, so that no offset points past the storage. */
    int64_t skip = count ? (first - 1) * tensor->stride[d] : 0;
    return push_view(L, tensor, tensor->offset + skip, tensor->dim, size, tensor->stride);
}

static int push_swapped(lua_State *L, const struct tensor *tensor, int a, int b)
{
    int64_t size[TENSOR_MAX_DIM], stride[TENSOR_MAX_DIM];
    for (int d = 0; d < tensor->dim; d++) {
        int from = d == a ? b : d == b ? a : d;
        size[d] = tensor->size[from];
        stride[d] = tensor->stride[from];
    }
    return push_view(L, tensor, tensor->offset, tensor->dim, size, stride);
}

static int transpose(lua_State *L)
{
    const struct tensor *tensor = tensor_argument(L, 1, "tensor:transpose");
    int a = dim_argument(L, 2, "tensor:transpose", tensor);
    int b = dim_argument(L, 3, "tensor:transpose", tensor);
    return push_swapped(L, tensor, a, b);
}

static int t(lua_State *L)
{
    const struct tensor *tensor = tensor_argument(L, 1, "tensor:t");
    if (tensor->dim != 2)
        raise_error(L, "tensor:t",
                    "a tensor of %s; expected one of 2 dimensions, or use transpose(a, b)",
                    shape_text(tensor->dim, tensor->size));
    return push_swapped(L, tensor, 0, 1);
}

static int reshaped(lua_State *L, const char *where, bool may_copy)
{
    const struct tensor *tensor = tensor_argument(L, 1, where);
    int64_t size[TENSOR_MAX_DIM];
    int dim = shape_argument(L, 2, where, true, size);
    int64_t count = 1;
    bool overflow = false, empty = false;
    for (int d = 0; d < dim; d++) {
        empty |= size[d] == 0;
        overflow |= __builtin_mul_overflow(count, size[d], &count);
    }
    if (empty ? tensor->count != 0 : overflow || count != tensor->count)
        raise_error(L, where, "the shape %s for a tensor of %s; expected one of %lld elements",
                    shape_text(dim, size), shape_text(tensor->dim, tensor->size),
                    (long long)tensor->count);
    if (!tensor_is_contiguous(tensor)) {
        if (!may_copy)
            raise_error(L, where,
                        "the tensor is not contiguous, so no view can have the shape %s; "
                        "use reshape, which copies, or contiguous() before",
                        shape_text(dim, size));
        tensor = tensor_clone(L, tensor);
    }
    return push_view(L, tensor, tensor->offset, dim, size, NULL);
}

static int view(lua_State *L)
{
    return reshaped(L, "tensor:view", false);
}

static int reshape(lua_State *L)
{
    return reshaped(L, "tensor:reshape", true);
}

static int expand(lua_State *L)
{
    const char *where = "tensor:expand";
    const struct tensor *tensor = tensor_argument(L, 1, where);
    int64_t size[TENSOR_MAX_DIM], stride[TENSOR_MAX_DIM];
    int dim = shape_argument(L, 2, where, true, size);
    int added = dim - tensor->dim;
    bool possible = added >= 0;
    for (int d = 0; possible && d < dim; d++) {
        int from = d - added;
        bool given = from >= 0 && tensor->size[from] == size[d];
        stride[d] = given ? tensor->stride[from] : 0;
        possible = given || from < 0 || tensor->size[from] == 1;
    }
    if (!possible)
        raise_error(L, where,
                    "a tensor of %s cannot be expanded to %s; only sizes of 1 grow, and "
                    "dimensions are added in front",
                    shape_text(tensor->dim, tensor->size), shape_text(dim, size));
    return push_view(L, tensor, tensor->offset, dim, size, stride);
}

const luaL_Reg tensor_view_methods[] = {
    {"select", select_one}, {"narrow", narrow},   {"transpose", transpose}, {"t", t},
    {"view", view},         {"reshape", reshape}, {"expand", expand},       {NULL, NULL},
};
