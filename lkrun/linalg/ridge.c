/* Ridge regression for each row of a sparse matrix: the inner step of alternating least squares.
 * With b_i = sqrt(w_i) y_i for the row's n entries, the rows of B [n, k], the solution is
 *
 *     x = (l I + B^T B)^-1 Σ t_i y_i = B^T (l I + B B^T)^-1 (t_i / sqrt(w_i))
 *
 * The left form factors a matrix of [k, k]. The right form, equal by the identity of Woodbury,
 * factors one of [n, n] and is many times cheaper where n is less than k: most rows of real data
 * have few entries. */
#include <math.h>
#include <string.h>
#include <lauxlib.h>

#include "base/util.h"
#include "base/value_text.h"
#include "machine/backend.h"
#include "tensor/tensor_argument.h"
#include "tensor/tensor_copy.h"
#include "tensor/tensor_scalar.h"
#include "sparse/sparse.h"

#define WHERE "lk.linalg.ridge"

struct ridge {
    enum dtype dtype;
    int width;                    /* k: elements of a regressor */
    const struct tensor *y;       /* [columns, k], the regressors */
    const struct sparse *targets; /* [rows, columns] */
    const char *weights;          /* [entries]; NULL: all 1 */
    double lambda;                /* of all rows, unless each has its own */
    const struct tensor *lambdas; /* [rows]; NULL: `lambda` is that of all rows */
    int64_t first, count;         /* `count` rows are solved, from row `first` on (from 0) */
    int64_t steps;                /* of conjugate gradients, starting at x; 0: solve exactly */
    const struct tensor *x;       /* [count, k], the solutions */

    /* Scratch memory for solving one row. */
    char *regressors; /* B, [entries of a row, k] */
    char *square;     /* [k, k], the matrix to factor */
    char *right;      /* [k], a right side, or the residual of conjugate gradients */
    char *direction;  /* [k], of conjugate gradients */
    char *image;      /* [k], (l I + B^T B) times the direction */
    char *products;   /* [entries of a row], B times a vector */
};

/* Why solving ended early. An error is raised only after backend_leave. */
struct problem {
    int64_t row;   /* from 0 */
    int64_t entry; /* index among the entries of `targets` */
    enum { FINE, BAD_COLUMN, BAD_WEIGHT, BAD_PIVOT } what;
};

/* The functions that solve a row of f64 or f32; p is the letter of BLAS for the type. Conjugate
 * gradients: M. Hestenes, E. Stiefel: Methods of conjugate gradients for solving linear systems.
 * Journal of Research of the National Bureau of Standards 49(6), 1952, section 3. */
#define SOLVE_ROW(name, type, p, root)                                                             \
    /* Writes B, and Σ t_i y_i to `sum`. False unless all weights are above 0. */                 \
    static bool name##_gather(const struct ridge *ridge, int64_t first, int n, type *sum,          \
                              struct problem *problem)                                             \
    {                                                                                              \
        const int32_t *column = (const int32_t *)tensor_data(ridge->targets->column_of) + first;   \
        const type *target = (const type *)tensor_data(ridge->targets->values) + first;            \
        const type *weight = ridge->weights ? (const type *)ridge->weights + first : NULL;         \
        const int width = ridge->width;                                                            \
        const int64_t down = ridge->y->stride[0], across = ridge->y->stride[1];                    \
        type *b = (type *)ridge->regressors;                                                       \
        bool all_weigh = true;                                                                     \
        memset(sum, 0, (size_t)width * sizeof *sum);                                               \
        for (int i = 0; i < n; i++, b += width) {                                                  \
            type w = weight ? weight[i] : 1;                                                       \
            bool inside = column[i] >= 1 && column[i] <= ridge->y->size[0];                        \
            if (!inside || !(w >= 0)) {                                                            \
                problem->what = inside ? BAD_WEIGHT : BAD_COLUMN;                                  \
                problem->entry = first + i;                                                        \
                return false;                                                                      \
            }                                                                                      \
            all_weigh = all_weigh && w > 0;                                                        \
            type scale = root(w);                                                                  \
            const type *y = (const type *)tensor_data(ridge->y) + (column[i] - 1) * down;          \
            for (int d = 0; d < width; d++) {                                                      \
                b[d] = scale * y[d * across];                                                      \
                sum[d] += target[i] * y[d * across];                                               \
            }                                                                                      \
        }                                                                                          \
        return all_weigh;                                                                          \
    }                                                                                              \
    static int name##_solve(const struct backend *blas, const struct ridge *ridge, int64_t row,    \
                            struct problem *problem)                                               \
    {                                                                                              \
        const int64_t *pointers = tensor_data(ridge->targets->pointers);                           \
        const int64_t first = pointers[row];                                                       \
        const int n = (int)(pointers[row + 1] - first), width = ridge->width, one = 1;             \
        type *x = (type *)tensor_data(ridge->x) + (row - ridge->first) * ridge->x->stride[0];      \
        type *b = (type *)ridge->regressors, *square = (type *)ridge->square;                      \
        const type lambda = (type)lambda_of(ridge, row);                                           \
        bool by_entries = name##_gather(ridge, first, n, x, problem) && n < width;                 \
        if (problem->what || n == 0)                                                               \
            return 0;                                                                              \
        /* BLAS reads columns, so it sees B as B^T. */                                             \
        const int size = by_entries ? n : width, depth = by_entries ? width : n;                   \
        blas->p##syrk(CBLAS_COL_MAJOR, CBLAS_LOWER, by_entries ? CBLAS_TRANS : CBLAS_NO_TRANS,     \
                      size, depth, 1, b, width, 0, square, size);                                  \
        for (int i = 0; i < size; i++)                                                             \
            square[i * size + i] += lambda;                                                        \
        int info = 0;                                                                              \
        if (!by_entries) {                                                                         \
            blas->p##posv("L", &size, &one, square, &size, x, &size, &info, 1);                    \
            return info;                                                                           \
        }                                                                                          \
        const type *target = (const type *)tensor_data(ridge->targets->values) + first;            \
        const type *weight = ridge->weights ? (const type *)ridge->weights + first : NULL;         \
        type *z = (type *)ridge->right;                                                            \
        for (int i = 0; i < n; i++)                                                                \
            z[i] = weight ? target[i] / root(weight[i]) : target[i];                               \
        blas->p##posv("L", &size, &one, square, &size, z, &size, &info, 1);                        \
        memset(x, 0, (size_t)width * sizeof *x);                                                   \
        for (int i = 0; i < n; i++, b += width)                                                    \
            for (int d = 0; d < width; d++)                                                        \
                x[d] += z[i] * b[d];                                                               \
        return info;                                                                               \
    }                                                                                              \
    /* Computes to = (l I + B^T B) from. */                                                        \
    static void name##_apply(const struct backend *blas, const struct ridge *ridge, int n,         \
                             type lambda, const type *from, type *to)                              \
    {                                                                                              \
        const int width = ridge->width;                                                            \
        const type *b = (const type *)ridge->regressors;                                           \
        type *products = (type *)ridge->products;                                                  \
        memcpy(to, from, (size_t)width * sizeof *to);                                              \
        blas->p##gemv(CBLAS_COL_MAJOR, CBLAS_TRANS, width, n, 1, b, width, from, 1, 0, products,   \
                      1);                                                                          \
        blas->p##gemv(CBLAS_COL_MAJOR, CBLAS_NO_TRANS, width, n, 1, b, width, products, 1, lambda, \
                      to, 1);                                                                      \
    }                                                                                              \
    /* Improves x by steps of conjugate gradients. */                                              \
    static void name##_improve(const struct backend *blas, const struct ridge *ridge, int64_t row, \
                               struct problem *problem)                                            \
    {                                                                                              \
        const int64_t *pointers = tensor_data(ridge->targets->pointers);                           \
        const int n = (int)(pointers[row + 1] - pointers[row]), width = ridge->width;              \
        const type lambda = (type)lambda_of(ridge, row);                                           \
        type *x = (type *)tensor_data(ridge->x) + (row - ridge->first) * ridge->x->stride[0];      \
        type *residual = (type *)ridge->right, *direction = (type *)ridge->direction;              \
        type *image = (type *)ridge->image;                                                        \
        name##_gather(ridge, pointers[row], n, residual, problem);                                 \
        if (n == 0)                                                                                \
            memset(x, 0, (size_t)width * sizeof *x);                                               \
        if (problem->what || n == 0)                                                               \
            return;                                                                                \
        name##_apply(blas, ridge, n, lambda, x, image);                                            \
        blas->p##axpy(width, -1, image, 1, residual, 1);                                           \
        memcpy(direction, residual, (size_t)width * sizeof *direction);                            \
        type square = blas->p##dot(width, residual, 1, residual, 1);                               \
        for (int64_t step = 0; step < ridge->steps && square > (type)1e-20; step++) {              \
            name##_apply(blas, ridge, n, lambda, direction, image);                                \
            type length = square / blas->p##dot(width, direction, 1, image, 1);                    \
            blas->p##axpy(width, length, direction, 1, x, 1);                                      \
            blas->p##axpy(width, -length, image, 1, residual, 1);                                  \
            type before = square;                                                                  \
            square = blas->p##dot(width, residual, 1, residual, 1);                                \
            for (int d = 0; d < width; d++)                                                        \
                direction[d] = residual[d] + square / before * direction[d];                       \
        }                                                                                          \
    }                                                                                              \
    static int name##_row(const struct backend *blas, const struct ridge *ridge, int64_t row,      \
                          struct problem *problem)                                                 \
    {                                                                                              \
        if (!ridge->steps)                                                                         \
            return name##_solve(blas, ridge, row, problem);                                        \
        name##_improve(blas, ridge, row, problem);                                                 \
        return 0;                                                                                  \
    }

static double lambda_of(const struct ridge *ridge, int64_t row)
{
    if (!ridge->lambdas)
        return ridge->lambda;
    return scalar_to_double(ridge->dtype,
                            element_at(ridge->lambdas, row * ridge->lambdas->stride[0]));
}

SOLVE_ROW(f64, double, d, sqrt)
SOLVE_ROW(f32, float, s, sqrtf)

static struct problem solve_rows(lua_State *L, const struct ridge *ridge)
{
    const struct backend *blas = backend_load(L);
    struct problem problem = {0};
    backend_enter();
    for (int64_t i = 0; i < ridge->count && !problem.what; i++) {
        problem.row = ridge->first + i;
        int info = ridge->dtype == DTYPE_F64 ? f64_row(blas, ridge, problem.row, &problem)
                                             : f32_row(blas, ridge, problem.row, &problem);
        if (info)
            problem.what = BAD_PIVOT;
    }
    backend_leave();
    return problem;
}

/* ---- Its arguments ---- */

static const struct tensor *matrix_argument(lua_State *L, int index, const struct ridge *ridge)
{
    const struct tensor *y = tensor_argument(L, index, WHERE);
    if (y->dim != 2 || y->size[0] != ridge->targets->columns || y->size[1] > INT32_MAX / 2)
        raise_error(L, WHERE, "regressors of %s for targets of [%lld, %lld]; expected [%lld, k]",
                    shape_text(y->dim, y->size), (long long)ridge->targets->rows,
                    (long long)ridge->targets->columns, (long long)ridge->targets->columns);
    check_same_dtype(L, y, ridge->targets->values, WHERE);
    return y;
}

static void lambda_argument(lua_State *L, int index, struct ridge *ridge)
{
    ridge->lambdas = tensor_test(L, index);
    if (!ridge->lambdas) {
        ridge->lambda = number_argument(L, index, WHERE, "lambda");
        if (!(ridge->lambda > 0))
            raise_error(L, WHERE, "lambda is %f; expected a number above 0", ridge->lambda);
        return;
    }
    if (ridge->lambdas->dim != 1 || ridge->lambdas->size[0] != ridge->targets->rows)
        raise_error(L, WHERE, "lambda is a tensor of %s; expected a number or [%lld]",
                    shape_text(ridge->lambdas->dim, ridge->lambdas->size),
                    (long long)ridge->targets->rows);
    check_same_dtype(L, ridge->lambdas, ridge->targets->values, WHERE);
}

/* The weights, contiguous: if they are not so already, a copy that is pushed. */
static const char *weights_argument(lua_State *L, int index, const struct ridge *ridge)
{
    const struct tensor *weights = tensor_argument(L, index, WHERE);
    int64_t entries = ridge->targets->values->count;
    if (weights->dim != 1 || weights->size[0] != entries)
        raise_error(L, WHERE, "weights of %s; expected one for each target, [%lld]",
                    shape_text(weights->dim, weights->size), (long long)entries);
    check_same_dtype(L, weights, ridge->targets->values, WHERE);
    return tensor_data(tensor_is_contiguous(weights) ? weights : tensor_clone(L, weights));
}

static void rows_argument(lua_State *L, int index, struct ridge *ridge)
{
    int64_t rows = ridge->targets->rows, end[2];
    ridge->count = rows;
    if (lua_isnil(L, index))
        return;
    if (!lua_istable(L, index))
        raise_error(L, WHERE, "`rows` is %s; expected {first, last}", type_text(L, index));
    for (int i = 0; i < 2; i++) {
        lua_rawgeti(L, index, i + 1);
        end[i] = integer_argument(L, -1, WHERE, "an end of `rows`");
        lua_pop(L, 1);
    }
    if (end[0] < 1 || end[1] > rows || end[0] > end[1] + 1)
        raise_error(L, WHERE, "`rows` is {%lld, %lld}; expected from 1 to %lld", (long long)end[0],
                    (long long)end[1], (long long)rows);
    ridge->first = end[0] - 1;
    ridge->count = end[1] - end[0] + 1;
}

static int64_t longest_row(const struct ridge *ridge)
{
    const int64_t *pointers = tensor_data(ridge->targets->pointers);
    int64_t longest = 0;
    for (int64_t row = ridge->first; row < ridge->first + ridge->count; row++)
        if (pointers[row + 1] - pointers[row] > longest)
            longest = pointers[row + 1] - pointers[row];
    return longest;
}

static void make_room(lua_State *L, struct ridge *ridge)
{
    int64_t longest = longest_row(ridge), width = ridge->width;
    if (longest > INT32_MAX / 2 || (width > 0 && longest > PTRDIFF_MAX / 16 / width))
        raise_error(L, WHERE, "a row has %lld entries, which are too many", (long long)longest);
    size_t element = dtype_sizes[ridge->dtype];
    size_t elements = (size_t)(longest * width + width * width + 3 * width + longest);
    char *room = lua_newuserdatauv(L, elements * element + 1, 0);
    ridge->regressors = room;
    ridge->square = ridge->regressors + (size_t)(longest * width) * element;
    ridge->right = ridge->square + (size_t)(width * width) * element;
    ridge->direction = ridge->right + (size_t)width * element;
    ridge->image = ridge->direction + (size_t)width * element;
    ridge->products = ridge->image + (size_t)width * element;
}

static void steps_argument(lua_State *L, int steps, int out, struct ridge *ridge)
{
    if (lua_isnil(L, steps))
        return;
    ridge->steps = integer_argument(L, steps, WHERE, "`steps`");
    if (ridge->steps < 1)
        raise_error(L, WHERE, "`steps` is %lld; expected 1 or more", (long long)ridge->steps);
    if (lua_isnil(L, out))
        raise_error(L, WHERE, "there are steps but no `out` for them to start at; expected both");
}

static void raise_problem(lua_State *L, const struct ridge *ridge, const struct problem *problem)
{
    long long row = (long long)problem->row + 1;
    if (problem->what == BAD_COLUMN)
        raise_error(L, WHERE,
                    "a column of row %lld was overwritten with %d; expected from 1 to %lld", row,
                    ((const int32_t *)tensor_data(ridge->targets->column_of))[problem->entry],
                    (long long)ridge->targets->columns);
    if (problem->what == BAD_WEIGHT)
        raise_error(L, WHERE, "a weight of row %lld is %f; expected 0 or more", row,
                    scalar_to_double(ridge->dtype, ridge->weights + (size_t)problem->entry *
                                                                        dtype_sizes[ridge->dtype]));
    if (problem->what == BAD_PIVOT)
        raise_error(L, WHERE,
                    "the matrix of row %lld is not positive definite; a greater lambda would "
                    "make it so",
                    row);
}

/* Where the options lie on the stack. */
enum { WEIGHTS = 5, ROWS, OUT, STEPS };

/* ridge(y, targets, lambda, {weights, rows, out, steps}) */
static int ridge_rows(lua_State *L)
{
    struct ridge ridge = {.targets = sparse_argument(L, 2, WHERE)};
    ridge.dtype = ridge.targets->values->dtype;
    static const char *const names[] = {"weights", "rows", "out", "steps", NULL};
    lua_settop(L, 4);
    options_argument(L, 4, names, WHERE);
    ridge.y = matrix_argument(L, 1, &ridge);
    ridge.width = (int)ridge.y->size[1];
    lambda_argument(L, 3, &ridge);
    rows_argument(L, ROWS, &ridge);
    steps_argument(L, STEPS, OUT, &ridge);
    if (!lua_isnil(L, WEIGHTS))
        ridge.weights = weights_argument(L, WEIGHTS, &ridge);
    int64_t size[] = {ridge.count, ridge.width};
    const struct tensor *out = out_argument(L, OUT, ridge.dtype, 2, size, WHERE);
    bool in_place = ridge.width == 1 || out->stride[1] == 1;
    ridge.x = in_place && !shares_memory(out, ridge.y) ? out : tensor_clone(L, out);
    make_room(L, &ridge);
    if (out->count) {
        struct problem problem = solve_rows(L, &ridge);
        raise_problem(L, &ridge, &problem);
    }
    if (ridge.x != out)
        tensor_assign(L, out, ridge.x, WHERE);
    lua_pushvalue(L, OUT);
    return 1;
}

const luaL_Reg linalg_ridge_functions[] = {{"ridge", ridge_rows}, {NULL, NULL}};
