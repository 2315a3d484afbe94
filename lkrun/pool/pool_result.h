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
    int count; /* FUTURE_TAKEN: values in the user value FUTURE_RESULTS */
    bool good; /* FUTURE_TAKEN: they are what func returned, and not an error */
};

/* Makes room for the results of so many more tasks, before these are pulled: a result must never be
 * lost because there is no room for it. False: no memory. */
bool pool_make_room(struct pool *pool, struct map *map, uint64_t more);
/* Hands the result of a flight to the map or the future that waits for it, or drops it where none
 * does: its bytes are copied, its segments taken. */
void pool_store(struct pool *pool, const struct flight *flight, struct outcome *outcome);
/* Gives the future of number outcome->index its result; takes the segments. */
void pool_settle(struct pool *pool, struct outcome *outcome);
/* Tells the futures without a result that they will never get one. */
void pool_abandon_futures(struct pool *pool, lua_State *L);

#endif
