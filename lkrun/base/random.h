/* Random streams: counter-based, so that a task's draws depend on its key alone. */
#ifndef LKRUN_RANDOM_H
#define LKRUN_RANDOM_H

#include <stdbool.h>
#include <stdint.h>
#include <lua.h>

struct random_stream {
    uint32_t key[2];     /* from root seed and ordinal of the map */
    uint64_t counter[2]; /* the next block, and the task */
    uint32_t block[4];   /* the generator's last output … */
    int used;            /* … and how many words of it are spent; RANDOM_DEFERRED */
    int has_normal;      /* whether `normal` holds the second of a pair */
    double normal;
    uint64_t root, map; /* RANDOM_DEFERRED: what the key will be made of */
};
#define RANDOM_DEFERRED 5

/* The stream of task `task` (from 1) of map `map` (from 1) under `root`. */
void random_open(struct random_stream *stream, uint64_t root, uint64_t map, uint64_t task);
/* The same, but most of the work is left to the first draw: most tasks draw nothing. */
static inline void random_defer(struct random_stream *stream, uint64_t root, uint64_t map,
                                uint64_t task)
{
    stream->root = root;
    stream->map = map;
    stream->counter[1] = task;
    stream->used = RANDOM_DEFERRED;
    stream->has_normal = 0;
}
/* Whether anything was drawn from it since. */
static inline bool random_drew(const struct random_stream *stream)
{
    return stream->used != RANDOM_DEFERRED && stream->counter[0] != 0;
}
uint64_t random_system_seed(void); /* from the operating system */

uint64_t random_bits(struct random_stream *stream);
double random_uniform(struct random_stream *stream); /* [0, 1), 53 bits */
double random_normal(struct random_stream *stream);  /* mean 0, standard deviation 1 */
/* [0, limit) without bias; limit 0 stands for 2^64. */
uint64_t random_below(struct random_stream *stream, uint64_t limit);

/* The stream that lk.random, math.random and tensor.randn draw from now, in this thread; NULL: the
 * program's own. Gives the one before, for tasks nest where an invoker works in place. The stream
 * stays where it is while it is in use. */
struct random_stream *random_use(struct random_stream *stream);
struct random_stream *random_current(void); /* never NULL */

/* Makes math.random and math.randomseed of this state draw from and seed the task's stream inside
 * a task; outside they stay Lua's own. Called when lkrun is required; again does nothing. */
void random_install(lua_State *L);

#endif
