/* The k best of numbers that come in the order of their positions: the greatest, and of equal ones
 * those that came first. */
#ifndef LKRUN_BEST_H
#define LKRUN_BEST_H

#include <stdbool.h>
#include <stdint.h>

#include "tensor/tensor.h"

struct best_entry {
    int64_t key; /* orders as the numbers of its dtype do: best_key */
    int64_t position;
};

struct best {
    struct best_entry *entries; /* [best_room(most)] */
    int64_t most;               /* how many are wanted, 1 or more */
    int64_t count;
    bool is_limited;
    int64_t limit; /* the key that the next one must be above */
};

#define BEST_NAN  INT64_MIN             /* the key of not-a-number, below every number's */
#define BEST_NONE (-0x7ff0000000000000) /* of -inf */

/* Zeros of either sign have one key. */
int64_t best_key(enum dtype dtype, const void *at);
/* The float with this key, +0 for both zeros. */
double best_float(int64_t key);

/* How many entries there must be room for. */
int64_t best_room(int64_t most);
void best_begin(struct best *best);
/* Offers x[0] … x[length - 1], `step` bytes apart, as first, first + 1, … */
void best_offer(struct best *best, enum dtype dtype, const void *x, int64_t length, int64_t step,
                int64_t first);
/* Leaves the best of them, `count` at most `most`, in order. */
void best_end(struct best *best);

#endif
