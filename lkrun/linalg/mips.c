/* The k greatest inner products of each query with many vectors (maximum inner product search),
 * found exactly. The scores of a block of queries and a tile of vectors are one product by BLAS;
 * the best scores of each query are picked while the tile is in the cache, and the next tile
 * overwrites it. So each score is written once and read once, and never more of them exist than one
 * tile holds.
 *
 * Invariant: when the tiles before vector j are done, each query has its best of the vectors
 * before j, and its list of exclusions begins with the first excluded vector from j on. */
#include <math.h>
#include <string.h>
#include <lauxlib.h>

#include "base/util.h"
#include "base/value_text.h"
#include "machine/backend.h"
#include "tensor/best.h"
#include "tensor/product.h"
#include "tensor/tensor_argument.h"
#include "tensor/tensor_copy.h"
#include "tensor/tensor_index.h"
#include "tensor/tensor_walk.h"
#include "sparse/sparse.h"

#define WHERE "lk.linalg.mips"

/* The scores of a tile take 576 KiB in f32, which fits the level 2 cache. */
#define BLOCK_QUERIES 384
#define TILE_VECTORS  384
/* At most this many entries are kept for the best scores of a block of queries, unless one query
 * alone needs more. */
#define BEST_ENTRIES (1 << 19)

/* The excluded vectors of a query that no tile has reached yet: entries next … end - 1 of
 * `exclude`. */
struct exclusions {
    int64_t next, end;
};

struct search {
    enum dtype dtype;
    int depth;                    /* elements of a vector */
    const struct tensor *queries; /* [n, depth] */
    struct picks rows;            /* the queries to answer; row NULL: all */
    struct blas_matrix vectors;
    struct picks among;                    /* the vectors to search, ascending; row NULL: all */
    const struct sparse *exclude;          /* NULL: nothing */
    const struct tensor *values, *indices; /* [queries to answer, k], the results */

    int64_t block_queries; /* queries of a block, at most */
    char *query;           /* [block_queries, depth]: copies of the block's queries */
    char *gathered;        /* [TILE_VECTORS, depth]: copies of the tile's vectors, with `among` */
    char *scores;          /* [block_queries, TILE_VECTORS] */
    struct best *best;     /* [block_queries] */
    struct exclusions *exclusions; /* [block_queries] */
};

static size_t element_of(const struct search *search)
{
    return dtype_sizes[search->dtype];
}

/* The row, from 0, that a query of the search has among all queries. */
static int64_t row_of_query(const struct search *search, int64_t query)
{
    return search->rows.row ? search->rows.row[query] - 1 : query;
}

/* The row, from 0, that a vector of the search has among all vectors. */
static int64_t index_of_vector(const struct search *search, int64_t vector)
{
    return search->among.row ? search->among.row[vector] - 1 : vector;
}

/* ---- A block of queries ---- */

static void begin_block(const struct search *search, int64_t first, int64_t count)
{
    const struct tensor *queries = search->queries;
    size_t element = element_of(search);
    for (int64_t q = 0; q < count; q++) {
        int64_t row = row_of_query(search, first + q);
        copy_row(element, search->depth, search->query + (size_t)(q * search->depth) * element,
                 (int64_t)element, element_at(queries, row * queries->stride[0]),
                 queries->stride[1] * (int64_t)element);
        best_begin(&search->best[q]);
        if (search->exclude) {
            const int64_t *pointers = tensor_data(search->exclude->pointers);
            search->exclusions[q] = (struct exclusions){pointers[row], pointers[row + 1]};
        }
    }
}

/* The vectors of a tile as a matrix for BLAS: part of all vectors, or gathered copies with
 * `among`. */
static struct blas_matrix tile_vectors(const struct search *search, int64_t first, int count)
{
    struct blas_matrix tile = search->vectors;
    size_t element = element_of(search);
    const char *data = tile.data;
    if (search->among.row) {
        int64_t ld = tile.ld, down = tile.row_major ? ld : 1, across = tile.row_major ? 1 : ld;
        for (int i = 0; i < count; i++)
            copy_row(element, search->depth,
                     search->gathered + (size_t)i * (size_t)search->depth * element,
                     (int64_t)element,
                     data + index_of_vector(search, first + i) * down * (int64_t)element,
                     across * (int64_t)element);
        return (struct blas_matrix){search->gathered, count, search->depth, search->depth, true};
    }
    int64_t offset = tile.row_major ? first * tile.ld : first;
    tile.data = (char *)tile.data + offset * (int64_t)element;
    return tile;
}

static void score_tile(lua_State *L, const struct search *search, int queries, int64_t first,
                       int count)
{
    if (search->depth == 0) {
        memset(search->scores, 0, (size_t)queries * TILE_VECTORS * element_of(search));
        return;
    }
    const struct backend *blas = backend_load(L);
    struct blas_matrix tile = tile_vectors(search, first, count);
    enum cblas_transpose is = tile.row_major ? CBLAS_TRANS : CBLAS_NO_TRANS;
    int depth = search->depth;
    backend_enter();
    if (search->dtype == DTYPE_F64)
        blas->dgemm(CBLAS_ROW_MAJOR, CBLAS_NO_TRANS, is, queries, count, depth, 1,
                    (const double *)search->query, depth, tile.data, tile.ld, 0,
                    (double *)search->scores, TILE_VECTORS);
    else
        blas->sgemm(CBLAS_ROW_MAJOR, CBLAS_NO_TRANS, is, queries, count, depth, 1,
                    (const float *)search->query, depth, tile.data, tile.ld, 0,
                    (float *)search->scores, TILE_VECTORS);
    backend_leave();
}

/* The place in the tile of the vector with this index; -1 if it is not in the tile. */
static int64_t place_in_tile(const struct search *search, int64_t first, int count, int64_t index)
{
    if (!search->among.row)
        return index >= first && index < first + count ? index - first : -1;
    int64_t low = first, high = first + count;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (index_of_vector(search, middle) < index)
            low = middle + 1;
        else
            high = middle;
    }
    return low < first + count && index_of_vector(search, low) == index ? low - first : -1;
}

/* Gives the excluded vectors a score of -inf, which end_block takes for no result. */
static void exclude_in_tile(const struct search *search, int64_t q, int64_t first, int count)
{
    const int32_t *column = tensor_data(search->exclude->column_of);
    struct exclusions left = search->exclusions[q];
    int64_t last_index = index_of_vector(search, first + count - 1);
    char *scores = search->scores + (size_t)q * TILE_VECTORS * element_of(search);
    for (; left.next < left.end && column[left.next] - 1 <= last_index; left.next++) {
        int64_t place = place_in_tile(search, first, count, column[left.next] - 1);
        if (place < 0)
            continue;
        if (search->dtype == DTYPE_F64)
            ((double *)scores)[place] = -INFINITY;
        else
            ((float *)scores)[place] = -INFINITY;
    }
    search->exclusions[q] = left;
}

static void search_tile(lua_State *L, const struct search *search, int64_t queries, int64_t first,
                        int count)
{
    score_tile(L, search, (int)queries, first, count);
    /* A loop of its own, because reading a score right after it was written would stall. */
    for (int64_t q = 0; search->exclude && q < queries; q++)
        exclude_in_tile(search, q, first, count);
    size_t row = TILE_VECTORS * element_of(search);
    for (int64_t q = 0; q < queries; q++)
        best_offer(&search->best[q], search->dtype, search->scores + (size_t)q * row, count,
                   (int64_t)element_of(search), first);
}

/* Writes the rows of the results: the best of each query, then index 0 and value -inf where it has
 * fewer than k. */
static void end_block(const struct search *search, int64_t first, int64_t count)
{
    const struct tensor *values = search->values, *indices = search->indices;
    for (int64_t q = 0; q < count; q++) {
        struct best *best = &search->best[q];
        best_end(best);
        for (int64_t i = 0; i < values->size[1]; i++) {
            bool found = i < best->count && best->entries[i].key > BEST_NONE;
            double value = found ? best_float(best->entries[i].key) : -INFINITY;
            int64_t index = found ? index_of_vector(search, best->entries[i].position) + 1 : 0;
            void *at = element_at(values, (first + q) * values->stride[0] + i * values->stride[1]);
            if (search->dtype == DTYPE_F64)
                *(double *)at = value;
            else
                *(float *)at = (float)value;
            *(int64_t *)element_at(indices, (first + q) * indices->stride[0] +
                                                i * indices->stride[1]) = index;
        }
    }
}

static void search_blocks(lua_State *L, const struct search *search)
{
    int64_t queries = search->values->size[0];
    int64_t vectors = search->among.row ? search->among.count : search->vectors.rows;
    for (int64_t first = 0; first < queries; first += search->block_queries) {
        int64_t left = queries - first;
        int64_t count = left < search->block_queries ? left : search->block_queries;
        begin_block(search, first, count);
        for (int64_t tile = 0; tile < vectors; tile += TILE_VECTORS) {
            int64_t width = vectors - tile < TILE_VECTORS ? vectors - tile : TILE_VECTORS;
            search_tile(L, search, count, tile, (int)width);
        }
        end_block(search, first, count);
    }
}

/* ---- Its arguments ---- */

/* Pushes one userdata for all arrays of the search. */
static void make_room(lua_State *L, struct search *search, int64_t most)
{
    int64_t queries = BEST_ENTRIES / best_room(most);
    queries = queries < 1 ? 1 : queries > BLOCK_QUERIES ? BLOCK_QUERIES : queries;
    size_t count = (size_t)queries, depth = (size_t)search->depth, element = element_of(search);
    size_t sizes[] = {
        count * TILE_VECTORS * element,
        count * depth * element,
        search->among.row ? TILE_VECTORS * depth * element : 0,
        count * sizeof(struct best),
        count * sizeof(struct exclusions),
        count * (size_t)best_room(most) * sizeof(struct best_entry),
    };
    enum { PARTS = sizeof sizes / sizeof *sizes, LINE = 64 };
    size_t total = LINE;
    for (int i = 0; i < PARTS; i++)
        total += (sizes[i] + LINE - 1) / LINE * LINE;
    char *parts[PARTS];
    char *at = lua_newuserdatauv(L, total, 0);
    at += LINE - (uintptr_t)at % LINE;
    for (int i = 0; i < PARTS; i++) {
        parts[i] = at;
        at += (sizes[i] + LINE - 1) / LINE * LINE;
    }
    search->block_queries = queries;
    search->scores = parts[0];
    search->query = parts[1];
    search->gathered = parts[2];
    search->best = (struct best *)(void *)parts[3];
    search->exclusions = (struct exclusions *)(void *)parts[4];
    for (int64_t q = 0; q < queries; q++)
        search->best[q] = (struct best){
            .entries = (struct best_entry *)(void *)parts[5] + q * best_room(most), .most = most};
}

/* Where the options lie on the stack. */
enum { ROWS = 5, AMONG, EXCLUDE, VALUES, INDICES };

static void check_matrices(lua_State *L, const struct tensor *queries, const struct tensor *vectors)
{
    if (queries->dim != 2 || vectors->dim != 2 || queries->size[1] != vectors->size[1])
        raise_error(L, WHERE, "queries of %s and vectors of %s; expected [m, d] and [n, d]",
                    shape_text(queries->dim, queries->size),
                    shape_text(vectors->dim, vectors->size));
    check_same_dtype(L, queries, vectors, WHERE);
    if (!dtype_is_float(queries->dtype))
        raise_error(L, WHERE, "the vectors are %s; expected f64 or f32",
                    dtype_names[queries->dtype]);
}

static void check_ascending(lua_State *L, const struct picks *picks)
{
    for (int64_t i = 1; i < picks->count; i++)
        if (picks->row[i] <= picks->row[i - 1])
            raise_error(L, WHERE,
                        "index %lld of `among` comes after %lld; expected in ascending order",
                        (long long)picks->row[i], (long long)picks->row[i - 1]);
}

static const struct sparse *exclude_argument(lua_State *L, const struct tensor *queries,
                                             const struct tensor *vectors)
{
    if (!sparse_test(L, EXCLUDE))
        raise_error(L, WHERE, "`exclude` is %s; expected a sparse matrix", type_text(L, EXCLUDE));
    const struct sparse *exclude = sparse_argument(L, EXCLUDE, WHERE);
    if (exclude->rows != queries->size[0] || exclude->columns != vectors->size[0])
        raise_error(L, WHERE, "`exclude` is [%lld, %lld]; expected [%lld, %lld]",
                    (long long)exclude->rows, (long long)exclude->columns,
                    (long long)queries->size[0], (long long)vectors->size[0]);
    return exclude;
}

/* The tensor for a result, which may not share memory with any input, because inputs are still read
 * while it is written. */
static const struct tensor *result(lua_State *L, int index, enum dtype dtype, const int64_t *size)
{
    if (lua_isnil(L, index)) {
        const struct tensor *tensor = tensor_new(L, dtype, 2, size, false);
        lua_replace(L, index);
        return tensor;
    }
    const struct tensor *out = check_out(L, index, dtype, 2, size, WHERE);
    static const int inputs[] = {1, 2, ROWS, AMONG};
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++) {
        const struct tensor *input = tensor_test(L, inputs[i]);
        if (input && shares_memory(out, input))
            raise_error(L, WHERE,
                        "a tensor for the result shares its memory with what is read; expected "
                        "another one");
    }
    return out;
}

/* mips(queries, vectors, k, {rows, among, exclude, values, indices}) */
static int mips(lua_State *L)
{
    struct search search = {.queries = tensor_argument(L, 1, WHERE)};
    const struct tensor *vectors = tensor_argument(L, 2, WHERE);
    int64_t k = integer_argument(L, 3, WHERE, "k");
    static const char *const names[] = {"rows", "among", "exclude", "values", "indices", NULL};
    lua_settop(L, 4);
    options_argument(L, 4, names, WHERE);
    check_matrices(L, search.queries, vectors);
    if (k < 0)
        raise_error(L, WHERE, "k is %lld; expected 0 or more", (long long)k);
    search.dtype = search.queries->dtype;
    search.depth = (int)vectors->size[1];
    if (!lua_isnil(L, ROWS))
        search.rows = picks_argument(L, ROWS, search.queries->size[0], WHERE);
    if (!lua_isnil(L, AMONG)) {
        search.among = picks_argument(L, AMONG, vectors->size[0], WHERE);
        check_ascending(L, &search.among);
    }
    if (!lua_isnil(L, EXCLUDE))
        search.exclude = exclude_argument(L, search.queries, vectors);
    int64_t size[] = {search.rows.row ? search.rows.count : search.queries->size[0], k};
    search.values = result(L, VALUES, search.dtype, size);
    search.indices = result(L, INDICES, DTYPE_I64, size);
    int64_t count = search.among.row ? search.among.count : vectors->size[0];
    search.vectors = vectors->count ? to_blas_matrix(L, vectors, WHERE)
                                    : (struct blas_matrix){.rows = (int)vectors->size[0]};
    make_room(L, &search, k < count ? k : count);
    if (k > 0)
        search_blocks(L, &search);
    lua_pushvalue(L, VALUES);
    lua_pushvalue(L, INDICES);
    return 2;
}

const luaL_Reg linalg_mips_functions[] = {{"mips", mips}, {NULL, NULL}};
