/* Random streams: counter-based, so that a task's draws depend on its key alone. */
#ifndef LKRUN_RANDOM_H
#define LKRUN_RANDOM_H

#include <stdbool.h>
#include <stdint.h>
#include <lua.h>

struct random_stream {
    uint32_t key[2];     /* made of the root seed and the map's ordinal */
    uint64_t counter[2]; /* number of the next block, and of the task */
    uint32_t block[4];   /* the generator's last output */
    int used;            /* words of `block` that are spent; RANDOM_DEFERRED: there is no key yet */
    int has_normal;      /* whether `normal` holds the second deviate of a pair */
    double normal;
    uint64_t root, map; /* while RANDOM_DEFERRED: what the key will be made of */
};
#define RANDOM_DEFERRED 5

/* Opens the stream of task `task` (from 1) of map `map` (from 1) under the seed `root`. Most of the
 * work is left to the first draw: most tasks draw nothing. */
static inline void random_defer(struct random_stream *stream, uint64_t root, uint64_t map,
                                uint64_t task)
{
    stream->root = root;
    stream->map = map;
    stream->counter[1] = task;
    stream->used = RANDOM_DEFERRED;
    stream->has_normal = 0;
}
/* Whether anything was drawn from the stream since random_defer. */
static inline bool random_drew(const struct random_stream *stream)
{
    return stream->used != RANDOM_DEFERRED && stream->counter[0] != 0;
}
uint64_t random_system_seed(void); /* a seed from the operating system */

uint64_t random_bits(struct random_stream *stream);
double random_uniform(struct random_stream *stream); /* [0, 1), 53 bits */
double random_normal(struct random_stream *stream);  /* mean 0, standard deviation 1 */

/* Makes this the stream that lk.random, math.random and tensor.randn draw from in this thread;
 * NULL: the program's own stream. Gives the stream before, because tasks nest where an invoker
 * works in place. The stream must not move while it is in use. */
struct random_stream *random_use(struct random_stream *stream);
struct random_stream *random_current(void); /* the stream in use; never NULL */

/* Makes math.random and math.randomseed of this state draw from the task's stream, and seed it,
 * inside a task; outside of tasks they stay Lua's own. A second call does nothing. */
void random_install(lua_State *L);

#endif
