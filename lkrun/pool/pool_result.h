/* Results that wait for whoever wants them: a map, in its slots or on its ready list, or a future.
 */
#ifndef LKRUN_POOL_RESULT_H
#define LKRUN_POOL_RESULT_H

#include <stdbool.h>
#include <stdint.h>
#include <lua.h>
#include "pool/flight.h"
#include "pool/map_state.h"
#include "pool/pool_state.h"

enum future_state {
    FUTURE_PENDING,
    FUTURE_DONE,
    FUTURE_TAKEN,
    FUTURE_CANCELLED,
    FUTURE_ABANDONED,
    FUTURE_COLLECTED
};

struct future {
    uint64_t number;
    enum future_state state;
    /* FUTURE_DONE: owned bytes and segments, until get is asked for the first time. */
    struct outcome outcome;
    int count; /* FUTURE_TAKEN: values in FUTURE_RESULTS … */
    bool good; /* … which are no error */
};

/* Makes room for the results of so many more tasks: one that is made must never be lost for want of
 * a place. False: no memory. */
bool pool_make_room(struct pool *pool, struct map *map, uint64_t more);
/* Hands a result to whoever waits for it: its bytes are copied, its segments taken. */
void pool_store(struct pool *pool, const struct flight *flight, struct outcome *outcome);
/* The future of that number has its result; takes the segments. */
void pool_settle(struct pool *pool, struct outcome *outcome);
/* Futures without a result never get one. */
void pool_abandon_futures(struct pool *pool, lua_State *L);

#endif
