/* Products of two sparse matrices, row by row (F. G. Gustavson: Two fast algorithms for sparse
 * matrices. ACM TOMS 4(3), 1978): row r of a b is the sum of the rows of b for which row r of a has
 * an entry, each times the value of that entry.
 *
 * Invariant between rows: `sum` is zero and `touched` is empty. */
#include "sparse/sparse_sparse.h"

#include <string.h>

#include "base/util.h"
#include "tensor/tensor_argument.h"
#include "sparse/sparse.h"

void sparse_check_factors(lua_State *L, const struct sparse *a, const struct sparse *b,
                          const char *where)
{
    if (a->columns != b->rows)
        raise_error(L, where,
                    "a sparse matrix of [%lld, %lld] times one of [%lld, %lld]; expected "
                    "[m, n] times [n, k]",
                    (long long)a->rows, (long long)a->columns, (long long)b->rows,
                    (long long)b->columns);
    check_same_dtype(L, a->values, b->values, where);
}

/* ---- Which columns a row of the result has ---- */

/* A set of columns, which come out in ascending order. `bits` has a bit for each column, and
 * `words` a bit for each word of `bits` that is not 0, so that few columns among many are found
 * in few steps. */
struct touched {
    uint64_t *bits, *words;
    int64_t word_count; /* of `words` */
};

static struct touched new_touched(lua_State *L, int64_t columns)
{
    int64_t bit_words = columns / 64 + 1;
    struct touched set = {.word_count = bit_words / 64 + 1};
    size_t bytes = (size_t)(bit_words + set.word_count) * sizeof *set.bits;
    set.bits = lua_newuserdatauv(L, bytes, 0);
    set.words = set.bits + bit_words;
    memset(set.bits, 0, bytes);
    return set;
}

static inline void touch(struct touched *set, int64_t column)
{
    set->bits[column >> 6] |= UINT64_C(1) << (column & 63);
    set->words[column >> 12] |= UINT64_C(1) << (column >> 6 & 63);
}

/* Empties the set and returns how many columns it had. `columns`, unless NULL, receives them,
 * counted from 1. */
static int64_t take_touched(struct touched *set, int32_t *columns)
{
    int64_t count = 0;
    for (int64_t i = 0; i < set->word_count; i++) {
        for (uint64_t words = set->words[i]; words; words &= words - 1) {
            int64_t word = i * 64 + __builtin_ctzll(words);
            uint64_t bits = set->bits[word];
            set->bits[word] = 0;
            if (!columns)
                count += __builtin_popcountll(bits);
            for (; columns && bits; bits &= bits - 1)
                columns[count++] = (int32_t)(word * 64 + __builtin_ctzll(bits)) + 1;
        }
        set->words[i] = 0;
    }
    return count;
}

/* ---- The whole product ---- */

/* Sets pointers[r + 1] to the number of entries that the rows of the result have up to and
 * including r. */
static void count_entries(lua_State *L, const struct sparse *a, const struct sparse *b,
                          struct touched *set, int64_t *pointers)
{
    const int64_t *of_a = tensor_data(a->pointers), *of_b = tensor_data(b->pointers);
    const int32_t *column_a = tensor_data(a->column_of), *column_b = tensor_data(b->column_of);
    for (int64_t row = 0; row < a->rows; row++) {
        for (int64_t i = of_a[row]; i < of_a[row + 1]; i++) {
            int64_t inner = sparse_column(L, a, column_a[i], "sparse:mm");
            for (int64_t j = of_b[inner]; j < of_b[inner + 1]; j++)
                touch(set, sparse_column(L, b, column_b[j], "sparse:mm"));
        }
        pointers[row + 1] = pointers[row] + take_touched(set, NULL);
    }
}

#define FILL(name, type)                                                                           \
    static void fill_##name(lua_State *L, const struct sparse *a, const struct sparse *b,          \
                            struct touched *set, double *sum, const int64_t *pointers,             \
                            int32_t *columns, void *values)                                        \
    {                                                                                              \
        const int64_t *of_a = tensor_data(a->pointers), *of_b = tensor_data(b->pointers);          \
        const int32_t *column_a = tensor_data(a->column_of);                                       \
        const int32_t *column_b = tensor_data(b->column_of);                                       \
        const type *value_a = tensor_data(a->values), *value_b = tensor_data(b->values);           \
        type *out = values;                                                                        \
        for (int64_t row = 0; row < a->rows; row++) {                                              \
            for (int64_t i = of_a[row]; i < of_a[row + 1]; i++) {                                  \
                int64_t inner = sparse_column(L, a, column_a[i], "sparse:mm");                     \
                double factor = value_a[i];                                                        \
                for (int64_t j = of_b[inner]; j < of_b[inner + 1]; j++) {                          \
                    int64_t c = sparse_column(L, b, column_b[j], "sparse:mm");                     \
                    touch(set, c);                                                                 \
                    sum[c] += factor * (double)value_b[j];                                         \
                }                                                                                  \
            }                                                                                      \
            take_touched(set, columns + pointers[row]);                                            \
            for (int64_t k = pointers[row]; k < pointers[row + 1]; k++) {                          \
                out[k] = (type)sum[columns[k] - 1];                                                \
                sum[columns[k] - 1] = 0;                                                           \
            }                                                                                      \
        }                                                                                          \
    }
FOR_FLOATS(FILL)

int sparse_mm_sparse(lua_State *L)
{
    const char *where = "sparse:mm";
    const struct sparse *a = sparse_argument(L, 1, where), *b = sparse_argument(L, 2, where);
    sparse_check_factors(L, a, b, where);
    if (!lua_isnoneornil(L, 3))
        raise_error(L, where,
                    "a tensor for the result; the product of two sparse matrices is a "
                    "sparse matrix, which is always new");
    struct touched set = new_touched(L, b->columns);
    double *sum = lua_newuserdatauv(L, (size_t)b->columns * sizeof *sum + 1, 0);
    memset(sum, 0, (size_t)b->columns * sizeof *sum);
    int64_t pointer_count = a->rows + 1;
    int64_t *pointers = tensor_data(tensor_new(L, DTYPE_I64, 1, &pointer_count, true));
    count_entries(L, a, b, &set, pointers);
    int64_t entries = pointers[a->rows];
    int32_t *columns = tensor_data(tensor_new(L, DTYPE_I32, 1, &entries, false));
    const struct tensor *values = tensor_new(L, a->values->dtype, 1, &entries, false);
    if (values->dtype == DTYPE_F64)
        fill_f64(L, a, b, &set, sum, pointers, columns, tensor_data(values));
    else
        fill_f32(L, a, b, &set, sum, pointers, columns, tensor_data(values));
    sparse_push(L, a->rows, b->columns, -3, -2, -1);
    return 1;
}
