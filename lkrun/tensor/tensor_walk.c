/* Invariant of a walk: `at` holds the addresses of the row at `index`; `rows` counts this row and
 * those after it. Dimensions that every operand can step through as one have been merged. */
#include "tensor/tensor_walk.h"

#include <string.h>

static void set_dimensions(struct walk *walk, const struct tensor *const tensors[])
{
    walk->dim = 0;
    for (int d = 0; d < tensors[0]->dim; d++) {
        if (tensors[0]->size[d] == 1)
            continue;
        walk->size[walk->dim] = tensors[0]->size[d];
        for (int i = 0; i < walk->operands; i++) {
            int64_t element = (int64_t)dtype_sizes[tensors[i]->dtype];
            walk->stride[i][walk->dim] = tensors[i]->stride[d] * element;
        }
        walk->dim++;
    }
}

static void swap(int64_t *a, int64_t *b)
{
    int64_t kept = *a;
    *a = *b;
    *b = kept;
}

static int64_t distance(int64_t stride)
{
    return stride < 0 ? -stride : stride;
}

/* Puts the largest strides of operand 0 outermost, so that its memory is visited in order. */
static void sort_dimensions(struct walk *walk)
{
    for (int last = 1; last < walk->dim; last++) {
        for (int d = last; d > 0; d--) {
            if (distance(walk->stride[0][d - 1]) >= distance(walk->stride[0][d]))
                break;
            swap(&walk->size[d - 1], &walk->size[d]);
            for (int i = 0; i < walk->operands; i++)
                swap(&walk->stride[i][d - 1], &walk->stride[i][d]);
        }
    }
}

static bool can_merge(const struct walk *walk, int outer, int inner)
{
    for (int i = 0; i < walk->operands; i++)
        if (walk->stride[i][outer] != walk->stride[i][inner] * walk->size[inner])
            return false;
    return true;
}

static void merge_dimensions(struct walk *walk)
{
    int kept = 0; /* the last of the merged dimensions */
    for (int d = 1; d < walk->dim; d++) {
        if (can_merge(walk, kept, d))
            walk->size[kept] *= walk->size[d];
        else
            walk->size[++kept] = walk->size[d];
        for (int i = 0; i < walk->operands; i++)
            walk->stride[i][kept] = walk->stride[i][d];
    }
    if (walk->dim)
        walk->dim = kept + 1;
}

void walk_begin(struct walk *walk, int operands, const struct tensor *const tensors[],
                enum walk_order order)
{
    walk->operands = operands;
    for (int i = 0; i < operands; i++) {
        walk->at[i] = tensor_data(tensors[i]);
        walk->step[i] = 0;
    }
    walk->length = 1;
    walk->rows = tensors[0]->count ? 1 : 0;
    if (!walk->rows)
        return;
    set_dimensions(walk, tensors);
    if (order == WALK_ANY_ORDER)
        sort_dimensions(walk);
    merge_dimensions(walk);
    if (walk->dim == 0)
        return;
    int inner = --walk->dim;
    walk->length = walk->size[inner];
    for (int i = 0; i < operands; i++)
        walk->step[i] = walk->stride[i][inner];
    for (int d = 0; d < inner; d++) {
        walk->rows *= walk->size[d];
        walk->index[d] = 0;
    }
}

void walk_next(struct walk *walk)
{
    if (--walk->rows == 0)
        return;
    for (int d = walk->dim - 1; d >= 0; d--) {
        bool carries = ++walk->index[d] == walk->size[d];
        int64_t move = carries ? 1 - walk->size[d] : 1;
        for (int i = 0; i < walk->operands; i++)
            walk->at[i] += move * walk->stride[i][d];
        if (!carries)
            return;
        walk->index[d] = 0;
    }
}

struct rows rows_along(const struct tensor *tensor, int d)
{
    int64_t element = (int64_t)dtype_sizes[tensor->dtype];
    struct rows rows = {.tensor = tensor, .d = d, .remaining = 1, .at = tensor_data(tensor)};
    rows.step = tensor->stride[d] * element;
    for (int i = 0; i < tensor->dim; i++)
        if (i != d)
            rows.remaining *= tensor->size[i];
    return rows;
}

void next_row(struct rows *rows)
{
    const struct tensor *tensor = rows->tensor;
    int64_t element = (int64_t)dtype_sizes[tensor->dtype];
    rows->remaining--;
    for (int i = tensor->dim - 1; i >= 0; i--) {
        if (i == rows->d)
            continue;
        rows->at += tensor->stride[i] * element;
        if (++rows->index[i] < tensor->size[i])
            return;
        rows->at -= tensor->size[i] * tensor->stride[i] * element;
        rows->index[i] = 0;
    }
}

#define COPY_ELEMENTS(type)                                                                        \
    for (int64_t i = 0; i < length; i++)                                                           \
    *(type *)(to + i * to_step) = *(const type *)(from + i * from_step)

void copy_row(size_t element, int64_t length, char *to, int64_t to_step, const char *from,
              int64_t from_step)
{
    if (to_step == (int64_t)element && from_step == (int64_t)element)
        memcpy(to, from, (size_t)length * element);
    else if (element == 8)
        COPY_ELEMENTS(uint64_t);
    else if (element == 4)
        COPY_ELEMENTS(uint32_t);
    else
        COPY_ELEMENTS(uint8_t);
}
