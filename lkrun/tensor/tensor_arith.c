/* Arithmetic element by element: in place (add, sub, mul, div, pow) and as operators, which make
 * new tensors. Integers wrap modulo their dtype; dividing an integer by 0 raises. */
#include <math.h>
#include <string.h>
#include <lauxlib.h>

#include "base/util.h"
#include "base/value_text.h"
#include "tensor/tensor_argument.h"
#include "tensor/tensor_copy.h"
#include "tensor/tensor_scalar.h"
#include "tensor/tensor_walk.h"

/* Computes target = a op b for one row. at[0], at[1] and at[2] are the first elements of target, a
 * and b; step[] is the distance to the next one in bytes, and 0 repeats one value. */
typedef void (*binary_kernel)(int64_t length, char *const at[], const int64_t step[]);

#define EACH(type, to_step, a_step, b_step, EXPRESSION)                                            \
    for (int64_t i = 0; i < length; i++) {                                                         \
        type a = *(const type *)(at[1] + i * (a_step)), b = *(const type *)(at[2] + i * (b_step)); \
        *(type *)(at[0] + i * (to_step)) = (type)(EXPRESSION);                                     \
    }

/* The common steps are constants in loops of their own, which the compiler can vectorize. */
#define KERNEL(op, name, type, EXPRESSION)                                                         \
    static void op##_##name(int64_t length, char *const at[], const int64_t step[])                \
    {                                                                                              \
        const int64_t e = sizeof(type);                                                            \
        if (step[0] == e && step[1] == e && step[2] == e)                                          \
            EACH(type, e, e, e, EXPRESSION)                                                        \
        else if (step[0] == e && step[1] == e && step[2] == 0)                                     \
            EACH(type, e, e, 0, EXPRESSION)                                                        \
        else                                                                                       \
            EACH(type, step[0], step[1], step[2], EXPRESSION)                                      \
    }

#define KERNELS(op, FLOAT, I64, I32, U8)                                                           \
    KERNEL(op, f64, double, FLOAT)                                                                 \
    KERNEL(op, f32, float, FLOAT)                                                                  \
    KERNEL(op, i64, int64_t, I64)                                                                  \
    KERNEL(op, i32, int32_t, I32)                                                                  \
    KERNEL(op, u8, uint8_t, U8)                                                                    \
    static const binary_kernel op##_kernels[DTYPE_COUNT] = {op##_f64, op##_f32, op##_i64,          \
                                                            op##_i32, op##_u8,  NULL};

static inline int64_t floor_quotient(int64_t a, int64_t b)
{
    /* INT64_MIN / -1 would overflow, which traps on x86; negation wraps. */
    if (b == -1)
        return (int64_t)(0 - (uint64_t)a);
    int64_t quotient = a / b;
    return quotient - (a % b != 0 && (a < 0) != (b < 0));
}

KERNELS(add, a + b, (uint64_t)a + (uint64_t)b, (uint32_t)a + (uint32_t)b, a + b)
KERNELS(sub, a - b, (uint64_t)a - (uint64_t)b, (uint32_t)a - (uint32_t)b, a - b)
KERNELS(mul, a *b, (uint64_t)a *(uint64_t)b, (uint32_t)a *(uint32_t)b, a *b)
KERNELS(div, a / b, floor_quotient(a, b), floor_quotient(a, b), a / b)
KERNELS(idiv, floor(a / b), floor_quotient(a, b), floor_quotient(a, b), a / b)

KERNEL(pow, f64, double, pow(a, b))
KERNEL(pow, f32, float, powf(a, b))
static const binary_kernel pow_kernels[DTYPE_COUNT] = {pow_f64, pow_f32};

/* A tensor or, where `tensor` is NULL, one value of the target's dtype. */
struct operand {
    const struct tensor *tensor;
    union scalar scalar;
};

static bool has_zero(const struct tensor *tensor)
{
    size_t element = dtype_sizes[tensor->dtype];
    bool is_f64 = tensor->dtype == DTYPE_F64, is_f32 = tensor->dtype == DTYPE_F32;
    struct walk walk;
    const struct tensor *operands[] = {tensor};
    for (walk_begin(&walk, 1, operands, WALK_ANY_ORDER); walk.rows; walk_next(&walk))
        for (int64_t i = 0; i < walk.length; i++) {
            const char *at = walk.at[0] + i * walk.step[0];
            bool zero = is_f64         ? *(const double *)at == 0
                        : is_f32       ? *(const float *)at == 0
                        : element == 8 ? *(const int64_t *)at == 0
                        : element == 4 ? *(const int32_t *)at == 0
                                       : *(const uint8_t *)at == 0;
            if (zero)
                return true;
        }
    return false;
}

static void check_divisor(lua_State *L, const struct operand *divisor, enum dtype dtype,
                          const char *where)
{
    if (dtype_is_float(dtype))
        return;
    bool zero = false;
    if (!divisor->tensor) {
        static const union scalar no_bits;
        zero = memcmp(&divisor->scalar, &no_bits, dtype_sizes[dtype]) == 0;
    } else {
        zero = has_zero(divisor->tensor);
    }
    if (zero)
        raise_error(L, where, "an integer is divided by 0; convert to f64 for infinities");
}

/* Sets target = a op b. At most one of a and b is a scalar; the walk then leaves it out. */
static void apply(binary_kernel kernel, const struct tensor *target, struct operand *a,
                  struct operand *b)
{
    const struct tensor *operands[WALK_OPERANDS] = {target, a->tensor ? a->tensor : b->tensor,
                                                    b->tensor};
    int count = a->tensor && b->tensor ? 3 : 2;
    struct walk walk;
    for (walk_begin(&walk, count, operands, WALK_ANY_ORDER); walk.rows; walk_next(&walk)) {
        char *at[] = {walk.at[0], a->tensor ? walk.at[1] : (char *)&a->scalar,
                      b->tensor ? walk.at[count - 1] : (char *)&b->scalar};
        int64_t step[] = {walk.step[0], a->tensor ? walk.step[1] : 0,
                          b->tensor ? walk.step[count - 1] : 0};
        kernel(walk.length, at, step);
    }
}

static void check_kernel(lua_State *L, const binary_kernel kernels[], enum dtype dtype,
                         const char *where)
{
    if (kernels[dtype])
        return;
    if (dtype == DTYPE_BOOL)
        raise_error(L, where, "the tensor is bool, which has no arithmetic; use to('u8')");
    raise_error(L, where, "the tensor is %s; expected f64 or f32", dtype_names[dtype]);
}

static struct operand operand_argument(lua_State *L, int index, const struct tensor *other,
                                       const char *where)
{
    struct operand operand = {.tensor = tensor_test(L, index)};
    if (operand.tensor) {
        check_same_shape(L, other, operand.tensor, where);
        check_same_dtype(L, other, operand.tensor, where);
    } else {
        operand.scalar = scalar_argument(L, index, where, other->dtype);
    }
    return operand;
}

static int in_place(lua_State *L, const binary_kernel kernels[], bool divides, const char *where)
{
    const struct tensor *target = tensor_argument(L, 1, where);
    check_target(L, target, where);
    check_kernel(L, kernels, target->dtype, where);
    struct operand a = {.tensor = target}, b = operand_argument(L, 2, target, where);
    if (divides)
        check_divisor(L, &b, target->dtype, where);
    if (b.tensor)
        b.tensor = without_overlap(L, target, b.tensor);
    apply(kernels[target->dtype], target, &a, &b);
    lua_settop(L, 1);
    return 1;
}

static int add(lua_State *L)
{
    return in_place(L, add_kernels, false, "tensor:add");
}

static int sub(lua_State *L)
{
    return in_place(L, sub_kernels, false, "tensor:sub");
}

static int mul(lua_State *L)
{
    return in_place(L, mul_kernels, false, "tensor:mul");
}

static int divide(lua_State *L)
{
    return in_place(L, div_kernels, true, "tensor:div");
}

static int power(lua_State *L)
{
    return in_place(L, pow_kernels, false, "tensor:pow");
}

/* Pushes the operation as messages name it: "i64 tensor * 0.5". */
static const char *push_operation(lua_State *L, const char *symbol)
{
    const char *text[2];
    for (int i = 0; i < 2; i++) {
        const struct tensor *tensor = tensor_test(L, i + 1);
        text[i] = tensor ? lua_pushfstring(L, "%s tensor", dtype_names[tensor->dtype])
                         : push_brief(L, i + 1);
    }
    return lua_pushfstring(L, "%s %s %s", text[0], symbol, text[1]);
}

/* Raises: the operand at `index` cannot be combined with a tensor like `other`. */
static void refuse_operand(lua_State *L, int index, const struct tensor *other, const char *symbol)
{
    const struct tensor *tensor = tensor_test(L, index);
    const char *operation = push_operation(L, symbol);
    if (tensor)
        check_same_dtype(L, other, tensor, operation);
    if (lua_type(L, index) == LUA_TNUMBER)
        raise_error(L, operation, "%s cannot hold %s; convert the tensor first, as with to('f64')",
                    dtype_names[other->dtype], push_brief(L, index));
    scalar_argument(L, index, operation, other->dtype);
}

static struct operand operator_operand(lua_State *L, int index, const struct tensor *other,
                                       const char *symbol, const char *where)
{
    struct operand operand = {.tensor = tensor_test(L, index)};
    if (operand.tensor ? operand.tensor->dtype != other->dtype
                       : !scalar_fits(L, index, other->dtype, &operand.scalar))
        refuse_operand(L, index, other, symbol);
    if (operand.tensor)
        check_same_shape(L, other, operand.tensor, where);
    return operand;
}

/* At least one of the two operands is a tensor; the other may be a number. */
static int operate(lua_State *L, const binary_kernel kernels[], const char *symbol,
                   const char *where)
{
    const struct tensor *shape = tensor_test(L, 1);
    if (!shape)
        shape = tensor_argument(L, 2, where);
    check_kernel(L, kernels, shape->dtype, where);
    struct operand a = operator_operand(L, 1, shape, symbol, where);
    struct operand b = operator_operand(L, 2, shape, symbol, where);
    if (kernels == idiv_kernels)
        check_divisor(L, &b, shape->dtype, where);
    apply(kernels[shape->dtype], tensor_like(L, shape, shape->dtype), &a, &b);
    return 1;
}

static int add_operator(lua_State *L)
{
    return operate(L, add_kernels, "+", "tensor + tensor");
}

static int sub_operator(lua_State *L)
{
    return operate(L, sub_kernels, "-", "tensor - tensor");
}

static int mul_operator(lua_State *L)
{
    return operate(L, mul_kernels, "*", "tensor * tensor");
}

/* As in Lua, / gives floats: integer tensors become f64 first. */
static int div_operator(lua_State *L)
{
    const char *where = "tensor / tensor";
    lua_settop(L, 2);
    for (int i = 1; i <= 2; i++) {
        const struct tensor *tensor = tensor_test(L, i);
        if (!tensor || dtype_is_float(tensor->dtype) || tensor->dtype == DTYPE_BOOL)
            continue;
        tensor_assign(L, tensor_like(L, tensor, DTYPE_F64), tensor, where);
        lua_replace(L, i);
    }
    return operate(L, div_kernels, "/", where);
}

static int idiv_operator(lua_State *L)
{
    return operate(L, idiv_kernels, "//", "tensor // tensor");
}

static int minus_operator(lua_State *L)
{
    const struct tensor *tensor = tensor_argument(L, 1, "-tensor");
    check_kernel(L, sub_kernels, tensor->dtype, "-tensor");
    /* -0.0 - x is the negative of every x, zeros included. */
    struct operand zero = {.scalar = scalar_of(tensor->dtype, 0)}, b = {.tensor = tensor};
    if (tensor->dtype == DTYPE_F64)
        zero.scalar.f64 = -0.0;
    else if (tensor->dtype == DTYPE_F32)
        zero.scalar.f32 = -0.0f;
    apply(sub_kernels[tensor->dtype], tensor_like(L, tensor, tensor->dtype), &zero, &b);
    return 1;
}

const luaL_Reg tensor_arith_methods[] = {
    {"add", add},
    {"sub", sub},
    {"mul", mul},
    {"div", divide},
    {"pow", power},
    {"__add", add_operator},
    {"__sub", sub_operator},
    {"__mul", mul_operator},
    {"__div", div_operator},
    {"__idiv", idiv_operator},
    {"__unm", minus_operator},
    {NULL, NULL},
};
