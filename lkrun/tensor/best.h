/* Keeps the k best of a sequence of numbers, which are offered in the order of their positions: the
 * greatest, and of equal ones those with the lower position. */
#ifndef LKRUN_BEST_H
#define LKRUN_BEST_H

#include <stdbool.h>
#include <stdint.h>

#include "tensor/tensor.h"

struct best_entry {
    int64_t key;      /* of the number, see best_key */
    int64_t position; /* the number's place in the sequence, see best_offer */
};

struct best {
    struct best_entry *entries; /* [best_room(most)] */
    int64_t most;               /* how many are wanted, 1 or more */
    int64_t count;              /* entries in use */
    bool is_limited;
    int64_t limit; /* once is_limited: only a key above it can still be among the best */
};

#define BEST_NAN INT64_MIN /* the key of not-a-number, below every number's */
#define BEST_NONE                                                                                  \
    (-0x7ff0000000000000) /* the key of -inf, which mips.c gives to vectors that are left out */

/* The key of the number at this address: keys are ordered as the numbers of their dtype are.
 * Zeros of either sign have the same key. */
int64_t best_key(enum dtype dtype, const void *at);
/* The float with this key; +0 for the key of both zeros. */
double best_float(int64_t key);

/* How many entries `entries` must have room for. */
int64_t best_room(int64_t most);
/* Forgets all that was offered. */
void best_begin(struct best *best);
/* Offers the numbers x[0] … x[length - 1], which lie `step` bytes apart and have the positions
 * first, first + 1, … */
void best_offer(struct best *best, enum dtype dtype, const void *x, int64_t length, int64_t step,
                int64_t first);
/* Reduces the entries to the best ones, best first; `count` is then at most `most`. */
void best_end(struct best *best);

#endif
