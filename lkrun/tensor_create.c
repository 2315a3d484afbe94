/* The functions of lk.tensor that make tensors. */
#include "tensor_class.h"

#include <math.h>

#include "random.h"
#include "util.h"

static struct tensor *new_of_shape(lua_State *L, const char *where, int dtype_index, bool zeroed)
{
    int64_t size[TENSOR_MAX_DIM];
    int dim = shape_argument(L, 1, where, false, size);
    enum dtype dtype = dtype_argument(L, dtype_index, where, DTYPE_F64);
    return tensor_new(L, dtype, dim, size, zeroed);
}

static int zeros(lua_State *L)
{
    new_of_shape(L, "lk.tensor.zeros", 2, true);
    return 1;
}

static int ones(lua_State *L)
{
    const struct tensor *tensor = new_of_shape(L, "lk.tensor.ones", 2, false);
    tensor_fill(tensor, scalar_of(tensor->dtype, 1));
    return 1;
}

static int full(lua_State *L)
{
    const struct tensor *tensor = new_of_shape(L, "lk.tensor.full", 3, false);
    tensor_fill(tensor, scalar_argument(L, 2, "lk.tensor.full", tensor->dtype));
    return 1;
}

static int from(lua_State *L)
{
    const char *where = "lk.tensor.from";
    const struct tensor *tensor = tensor_test(L, 1);
    if (!tensor && !lua_istable(L, 1) && !lua_isnumber(L, 1) && !lua_isboolean(L, 1))
        raise_error(L, where, "argument 1 is %s; a table of numbers is expected", type_text(L, 1));
    enum dtype dtype = dtype_argument(L, 2, where, tensor ? tensor->dtype : DTYPE_F64);
    if (tensor)
        tensor_assign(L, tensor_like(L, tensor, dtype), tensor, where);
    else
        tensor_from_table(L, 1, dtype, where);
    return 1;
}

const luaL_Reg tensor_create_functions[] = {
    {"zeros", zeros}, {"ones", ones}, {"full", full}, {"from", from}, {NULL, NULL},
};
