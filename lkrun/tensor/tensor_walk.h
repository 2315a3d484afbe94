/* Walks over the elements of up to three tensors of one shape together, row by row. */
#ifndef LKRUN_TENSOR_WALK_H
#define LKRUN_TENSOR_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tensor/tensor.h"

#define WALK_OPERANDS 3

enum walk_order {
    WALK_ROW_MAJOR,
    WALK_ANY_ORDER, /* whichever suits the memory of operand 0 */
};

/* for (walk_begin(&walk, …); walk.rows; walk_next(&walk))
 *     kernel(walk.length, walk.at, walk.step); */
struct walk {
    int64_t rows;                /* rows still to visit, this one included; 0: the walk is over */
    int64_t length;              /* elements of a row */
    char *at[WALK_OPERANDS];     /* the row's first element */
    int64_t step[WALK_OPERANDS]; /* bytes from one element of a row to the next */
    /* The dimensions outside the row, the slowest first, and the position in them. */
    int dim;
    int operands;
    int64_t size[TENSOR_MAX_DIM];
    int64_t index[TENSOR_MAX_DIM];
    int64_t stride[WALK_OPERANDS][TENSOR_MAX_DIM]; /* bytes */
};

void walk_begin(struct walk *walk, int operands, const struct tensor *const tensors[],
                enum walk_order order);
void walk_next(struct walk *walk);

/* Visits the rows along dimension d, in row-major order of the other dimensions:
 * for (struct rows rows = rows_along(tensor, d); rows.remaining; next_row(&rows)) */
struct rows {
    const struct tensor *tensor;
    int d;
    int64_t remaining;             /* rows still to visit, this one included */
    const char *at;                /* the row's first element */
    int64_t step;                  /* bytes from one element of the row to the next */
    int64_t index[TENSOR_MAX_DIM]; /* of the row, in the other dimensions */
};

struct rows rows_along(const struct tensor *tensor, int d);
void next_row(struct rows *rows);

/* Copies `length` elements of this many bytes from one row to another. */
void copy_row(size_t element, int64_t length, char *to, int64_t to_step, const char *from,
              int64_t from_step);

#endif
