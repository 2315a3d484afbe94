/* The pool: a template process, its workers, and the tasks between them.
 *
 *   pool.c         what runs where next, and the invariants
 *   pool_collect.c results in
 *   pool_scalar.h  tasks and results that are one scalar
 *   pool_watch.c   news, balance, sleep
 *   pool_tokens.c  which workers may run where make's jobserver counts
 *   pool_shared.c  what host and workers have in common
 *   pool_start.c   template and workers: making, replacing, ending them
 *   pool_threads.c workers that are threads
 *   pool_template.c the process that forks workers
 *   pool_spawn.c   workers that are new processes
 *   pool_fault.c   a worker died: who is to blame, what is run again
 *   pool_limits.c  time and memory of tasks
 *   pool_output.c  what workers print
 *   pool_trace.c   its timeline, where one is wanted
 *   pool_map.c     one map: the iterator that delivers results to Lua
 *   pool_map_open.c its beginning and end
 *   pool_pull.c    … and the tasks that it pulls from Lua
 *   pool_outcome.c results and errors as Lua values
 *   pool_future.c  single tasks
 *   pool_lua.c     invokers as Lua sees them
 *   worker.c       the other side of the channel
 *   worker_process.c workers that are processes
 *   task.c         running one task, in a worker or in place
 *   inplace.c      the latter
 */
#ifndef LKRUN_POOL_STATE_H
#define LKRUN_POOL_STATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <lua.h>

#include "value/codec.h"
#include "machine/config.h"
#include "pool/flight.h"
#include "worker/worker_shared.h"
#include "base/random.h"
#include "memory/segment.h"
#include "base/util.h"

/* What a worker did not begin in time was taken back, and it has begun nothing since: it may be
 * slow to wake, or stopped; or it was in a long task. */
enum overdue { NOT_OVERDUE, OVERDUE_IDLE, OVERDUE_BUSY };

/* The host's view of one worker. */
struct worker {
    pid_t pid;             /* 0: none, or not known yet */
    bool starting;         /* asked of the template; of a thread always, for it has no pid */
    bool gone;             /* dead, and another could not be made */
    int pidfd;             /* -1: none; then waitpid is asked now and then */
    int bell_fd;           /* wakes the worker */
    int output_fd[2];      /* read ends of its standard output and error */
    int output_end[2];     /* the write ends, for the template and its workers */
    struct buffer line[2]; /* their unfinished lines */
    struct worker_shared *shared;
    struct ring tasks, results;
    struct flight_queue flights; /* at the worker, oldest first */
    uint32_t unpublished;        /* the newest of them that it may not begin yet */
    uint64_t following;          /* index of the task whose frame may be short; 0: none */
    uint32_t committed;          /* results taken in since it started */
    uint32_t window;             /* unbegun tasks it should have */
    uint32_t begun_seen;         /* tasks begun when last looked at … */
    uint64_t begun_time;         /* … and since when that is so */
    uint64_t given_time;         /* when it last got tasks while it had none to begin (coarse) */
    enum overdue overdue;
    uint64_t stopped_since; /* with a timeout: by a signal, as far as the host saw; 0: it runs */
    uint64_t busy_seen;     /* busy time when last looked at */
    uint32_t news_seen;     /* of the worker's news */
    uint64_t head_noted;    /* results published when the host went to sleep */
    uint64_t released;      /* its result ring is given back up to here */
    struct buffer partial;  /* pieces of a large frame so far */
    struct segment *held;   /* of finished tasks; the worker may still look at them */
    struct segment *grants; /* given to it for results */
    bool deferred;          /* it waits for such a grant until others are delivered */
    bool has_token;         /* of make's jobserver … */
    uint64_t unused_since;  /* … which does nothing since then (coarse clock); 0: it is used */
    int fruitless;          /* workers in a row that died here before they were ready */
    uint64_t condemned;     /* tasks begun, plus 1, when the host ended it; 0: it did not */
    uint64_t tasks_done;
    double busy_before; /* seconds, of earlier workers in this place */
};

/* A result that waits for its turn. */
struct stored {
    struct segment *segments; /* its large tensors */
    size_t length;
    char bytes[];
};

/* A task of an ordered map that is not delivered yet. */
enum slot_state { SLOT_QUEUED, SLOT_AT_WORKER, SLOT_STORED };
struct slot {
    uint8_t state;         /* enum slot_state */
    uint8_t kind;          /* SLOT_STORED: RESULT_VALUES or RESULT_ERROR */
    uint16_t worker;       /* which has it, or had it, from 0 */
    struct stored *result; /* SLOT_STORED: owned; NULL: there was no memory for it */
};

enum worker_kind { WORKERS_PROCESSES, WORKERS_THREADS, WORKERS_SPAWN };

struct pool_options {
    enum worker_kind kind;
    int jobs;
    bool ordered;
    bool return_errors;
    int retries;
    double timeout;      /* seconds; 0: none */
    size_t memory_limit; /* bytes; 0: none */
    uint64_t seed;
    bool seed_given;
    struct config worker; /* the configuration inside workers */
};

/* A finished task, where its bytes lie. */
struct outcome {
    uint64_t index;
    int worker;    /* from 1; 0: the host itself */
    uint16_t kind; /* RESULT_VALUES or RESULT_ERROR */
    const char *bytes;
    size_t length;
    char *owned;              /* what to free afterwards, or NULL */
    struct worker *ring_of;   /* whose ring they lie in, or NULL */
    struct segment *segments; /* its large tensors, until they are fetched; owned */
};

struct pool;
struct pool_trace;

/* One map over a pool. */
struct map {
    struct pool *pool; /* NULL once it has ended */
    uint64_t pulled;   /* tasks taken from the generator */
    uint64_t delivered;
    bool exhausted;        /* the generator has ended, or failed */
    bool failed;           /* … failed: its error is raised when all before it is delivered */
    uint64_t deadline;     /* it ends then, whatever still runs; 0: never */
    bool pulling;          /* the generator is running: it may have yielded */
    bool slow_generator;   /* it lately kept the host for a tick of the clock */
    bool takes_nothing;    /* it is a function without parameters */
    uint32_t wanted;       /* tasks to pull in this batch */
    int64_t length;        /* of a sequence; -1: a generator function */
    bool numbered;         /* the generator's first value is the task's index; else 1, 2, … */
    uint64_t shift;        /* what the indices now are ahead of the count of tasks pulled */
    struct slot *slots;    /* ordered: task i is slots[i & (capacity - 1)] */
    struct outcome *ready; /* unordered: stored results, a circle of `capacity`, oldest first … */
    uint64_t ready_first, ready_count;
    uint64_t capacity;           /* a power of two above the tasks pulled and not delivered, or 0 */
    char where[LUA_IDSIZE + 12]; /* "script.lua:12", the line that made it, or empty */
};

struct pool {
    struct pool_options options;
    pid_t owner;            /* the process that made it: a forked copy does nothing */
    uint32_t forks;         /* fork_count when it was made: the same at a fraction of the cost */
    pid_t template_pid;     /* 0: gone */
    int template_fd;        /* -1: gone */
    int template_end;       /* the template's side */
    int shared_fd, ring_fd; /* of `shared` and `ring_memory`, for spawned workers; -1: none */
    bool started, closed;
    bool end_due;    /* a finalizer asked for its end */
    bool delivering; /* in pool_deliver_scalar */
    bool broken;     /* cannot go on, for this reason: */
    char reason[600];
    char *ring_memory;
    struct pool_shared *shared;
    size_t shared_size;
    struct worker *workers;      /* [options.jobs] */
    struct pollfd *polled;       /* [4 + 3 × jobs] */
    int bell_fd;                 /* wakes the host */
    uint32_t generation;         /* of the region */
    bool limited;                /* a jobserver says how many workers may run at a moment */
    bool in_place;               /* one job: no process is made */
    struct flight_queue backlog; /* tasks to hand out before any new one is pulled */
    struct map *map;             /* the running map, or NULL */
    uint64_t maps;               /* begun so far */
    uint64_t futures;            /* made so far */
    uint64_t crashes, retried, bytes_out, bytes_in;
    uint64_t done;             /* in place */
    double mean;               /* nanoseconds a task takes, smoothed; 0: not known */
    uint64_t away;             /* nanoseconds the caller's code lately kept the host away */
    uint64_t left;             /* coarse clock when control last went back to the caller */
    uint64_t tick;             /* coarse clock at the last look around */
    uint32_t until_look;       /* deliveries until the next one */
    uint32_t until_clock;      /* deliveries until the caller is timed again … */
    uint32_t clock_interval;   /* … and from then on */
    uint64_t memory_look;      /* when memory is to be looked at next */
    struct patience patience;  /* how long the host has lately waited */
    size_t stored_bytes;       /* in results that wait to be delivered */
    size_t fetch_budget;       /* bytes of task tensors that make a worker collect garbage */
    bool urgent;               /* somebody waits for one future: results are granted room at once */
    struct segment *placing;   /* segments of the task that is being encoded */
    struct segment **fetching; /* segments of the result that is being decoded */
    struct progress *progress;
    struct pool_trace *trace; /* its timeline, see pool_trace.h; NULL: none is wanted */
    bool seed_logged;
    struct buffer carried;   /* func and model, for workers that are no forks */
    struct threads *threads; /* see pool_threads.c */
    struct spawn *spawn;     /* see pool_spawn.c */
    struct buffer encoding;  /* the task that is being encoded */
    struct buffer result;    /* in place: of the task that runs */
    struct pool *next;       /* all process pools of this process */
    int futures_ref;         /* registry: weak table, number → future */
    lua_State *L;            /* the state's main thread */
};

/* Nanoseconds of work ahead of a worker, at least. */
#define HORIZON 1000000.0
/* Unbegun tasks of a worker, and bytes of results that wait for their turn, at most. */
#define MAX_WINDOW 2048u
#define MAX_STORED ((size_t)64 << 20)

uint64_t clock_coarse(void); /* nanoseconds, a few milliseconds behind, at a quarter of the cost */

static inline uint64_t claim_of(const struct worker *worker)
{
    return atomic_load_explicit(&worker->shared->claim, memory_order_acquire);
}
/* Tasks it has not begun, told to it or not. */
static inline uint32_t worker_unbegun(const struct worker *worker, uint64_t claim)
{
    return claim_limit(claim) - claim_begun(claim) + worker->unpublished;
}
static inline bool worker_is_usable(const struct worker *worker)
{
    return (worker->pid || worker->starting) && !worker->gone;
}
static inline bool worker_is_busy(const struct worker *worker)
{
    return atomic_load_explicit(&worker->shared->busy_since, memory_order_relaxed) != 0;
}

/* --- pool.c: what runs where next --- */
/* Encodes the value at `index` as a task called `root` and queues it behind the backlog, or on
 * `worker` if there is one. False with a message pushed when it can't be sent. */
bool pool_submit(struct pool *pool, lua_State *L, int index, const char *root,
                 struct flight *flight, struct worker *worker);
/* A worker that should have more tasks, and how many; NULL: none. */
struct worker *pool_hungry(struct pool *pool, uint32_t *count);
void pool_publish(struct worker *worker);
/* As segment_add, but garbage makes room first. */
bool pool_add_segment(struct pool *pool, struct segment **list, enum direction direction,
                      size_t bytes, const char **error);
void pool_feed_backlog(struct pool *pool);
bool pool_may_pull(const struct pool *pool);
/* Whether so many tasks are out or wait to be delivered that delivering comes first. */
bool pool_has_plenty(const struct pool *pool);
/* A copy of the payload of a flight that is in the worker's ring, for the caller to free; NULL: no
 * memory. */
char *pool_flight_bytes(const struct worker *worker, const struct flight *flight);
/* Takes the newest of a worker's unbegun tasks back to the front of the backlog, all but `keep`. */
void pool_take_back(struct pool *pool, struct worker *worker, uint32_t keep);
/* --- pool_watch.c: news, balance, sleep --- */
/* Takes in news, feeds the backlog, balances. Needed every few milliseconds and before waiting. */
void pool_look_around(struct pool *pool);
/* Notes what has been published so far; pool_wait returns at once if there has been more since. So:
 * note, look for what you wait for, wait. */
void pool_note(struct pool *pool);
/* What it asked for of the region. */
void pool_grant_room(struct pool *pool, struct worker *worker);
/* Sleeps until something happens, at most `timeout` milliseconds (-1: for ever). */
void pool_wait(struct pool *pool, int timeout);
void pool_cancel_map(struct pool *pool);
/* What has not begun is dropped, nothing more is pulled: an unordered map goes on with what runs,
 * but for no more than that many nanoseconds. */
void pool_wind_up(struct pool *pool, uint64_t nanoseconds);
/* Takes the task of a future out of the queues; false: it has begun. */
bool pool_recall(struct pool *pool, uint64_t number);

/* --- pool_tokens.c: which workers may run where make's jobserver counts --- */
bool pool_holds_token(const struct pool *pool, const struct worker *worker);
static inline bool worker_may_run(const struct pool *pool, const struct worker *worker)
{
    return !pool->limited || pool_holds_token(pool, worker);
}
/* Takes tokens that are there for workers that have none, if there is work for them, and gives back
 * those that were of no use for a while. Says whether a worker got one. */
bool pool_trade_tokens(struct pool *pool);
/* What to poll for more of them; -1: nothing. */
int pool_token_descriptor(const struct pool *pool);
int pool_token_tick(const struct pool *pool); /* milliseconds until one goes back; -1: none does */
/* Gives back those of all workers that run nothing, or, when the pool has ended, of all. */
void pool_give_tokens(struct pool *pool);

/* --- pool_collect.c: results in --- */
/* The next result of the map, if it is in. outcome_finish gives its bytes back. */
bool pool_next(struct pool *pool, struct outcome *outcome);
void outcome_finish(struct pool *pool, struct outcome *outcome);
/* Takes in all that a worker has published; stops at the result of task `want` of the map
 * (ANY_TASK: of any) and gives its frame. */
#define ANY_TASK UINT64_MAX
const struct frame *pool_drain(struct pool *pool, struct worker *worker, uint64_t want);
/* Hands a result to whoever waits for it: its bytes are copied, its segments taken. */
void pool_store(struct pool *pool, const struct flight *flight, struct outcome *outcome);
void pool_log_seed(struct pool *pool); /* once, when a task drew random numbers */
void pool_release_results(struct worker *worker);
/* The first frame of its ring has been read. */
static inline void pool_take_frame(struct worker *worker, const struct frame *frame)
{
    ring_take(&worker->results, frame);
    if (worker->results.at - worker->released > RING_SIZE / 8)
        pool_release_results(worker);
}
struct codec_port pool_port(struct pool *pool);
void pool_clear_map(struct pool *pool, struct map *map); /* its stored results */
/* Makes room for the results of so many more tasks: one that is made must never be lost for want of
 * a place. False: no memory. */
bool pool_make_room(struct pool *pool, struct map *map, uint64_t more);
/* Makes its bytes a copy of its own. Without memory for that it becomes an empty error, which says
 * so. */
void outcome_keep(struct outcome *outcome);

/* --- pool_shared.c: what host and workers have in common --- */
/* Notes errno as the reason that workers cannot start, and gives false. */
bool pool_fail(struct pool *pool, const char *what);
bool pool_make_shared(struct pool *pool); /* false: see pool->reason; pool_unmake what there is */
void pool_unmake(struct pool *pool);      /* every piece may be missing */

/* --- pool_threads.c: workers that are threads --- */
/* L's stack starts with func and model. False: see pool->reason; raises where they can't be
 * carried. */
bool threads_start(struct pool *pool, lua_State *L);
void threads_stop(struct pool *pool); /* waits for the tasks that run */

/* --- pool_spawn.c: workers that are new processes --- */
bool spawn_start(struct pool *pool, lua_State *L); /* as threads_start */
bool spawn_worker(struct pool *pool, int place);   /* false: see pool->reason */
void spawn_unmake(struct pool *pool);

/* --- pool_start.c: template and workers --- */
extern uint32_t fork_count; /* generations of forks between this process and the first */
bool pool_start(struct pool *pool, lua_State *L); /* false: see pool->reason */
void pool_replace(struct pool *pool, struct worker *worker);
void pool_empty_place(struct pool *pool, struct worker *worker); /* its flights have left it */
void pool_stop(struct pool *pool, lua_State *L);
void pool_template_news(
    struct pool *pool); /* its socket is readable: a worker forked, or its end */
void pool_learn_pids(struct pool *pool);
/* Of all pools: ends workers that are in tasks of maps that have ended, for a user who does not
 * want to wait for them; others take their places. Threads go on. */
void pool_end_dropped(void);

/* --- pool_template.c --- */
/* Forks the first worker, from the host itself, so that it is at work before the template has
 * forked the others, and the template. False with errno set, and neither is there. pool->next is
 * the list of this process's other pools. */
bool template_fork(struct pool *pool, lua_State *L);

/* --- pool_fault.c: a worker died --- */
void pool_check_deaths(struct pool *pool); /* reaps and handles every worker that has ended */
/* No worker can be made in this place, for pool->reason. A pool that has none left is broken. */
void pool_lose(struct pool *pool, struct worker *worker);
/* Tries the places that were lost once more: what refused them may have passed. */
void pool_refill(struct pool *pool);

/* What is said of a task that fails with its worker. */
#define FAILURE_TEXT 400
void describe_memory(char text[FAILURE_TEXT], const struct pool_options *options,
                     const struct flight *flight, int worker);

/* --- pool_limits.c --- */
uint64_t timeout_nanoseconds(const struct pool_options *options);
/* Ends workers whose task takes too long or too much, where they can't do it themselves. */
void pool_check_limits(struct pool *pool, uint64_t now);
/* False, and the worker is ended, when room of that size for a result would be too much. */
bool pool_may_grant(const struct pool *pool, struct worker *worker, size_t bytes);
int pool_limits_tick(const struct pool *pool); /* milliseconds until it is due; -1: never */

/* --- pool_output.c: what workers print --- */
void pool_read_output(struct worker *worker);
void pool_flush_output(struct worker *worker); /* an unfinished line too */
void pool_pass_output(struct worker *worker, int which, const char *bytes, size_t length);

/* --- pool_map.c --- */
#define POOL_CLASS "lkrun.invoker"
/* What the user values of an invoker are. */
enum pool_value {
    POOL_FUNC = 1,
    POOL_MODEL,
    POOL_MAKE_ERROR,
    POOL_PROGRESS,
    POOL_VALUES = POOL_PROGRESS
};
struct pool *pool_check(lua_State *L, int index); /* an open invoker of this process, or raises */
/* A finalizer may run wherever Lua allocates: while a task is encoded or a result decoded, too. So
 * what it asks of an invoker is refused, and its end waits for the next call. */
bool pool_in_finalizer(lua_State *L);
void pool_refuse_finalizer(lua_State *L);
void pool_refuse_copy(lua_State *L, const struct pool *pool); /* in a fork of its process */
void pool_end(lua_State *L, struct pool *pool, int index);    /* shuts down the invoker there */
/* User values of a map, and upvalues of its step function. The control value, often the task, is no
 * upvalue: a generational collector takes for old what is put into an old closure, and keeps it. */
enum { MAP_POOL = 1, MAP_CLOSING, MAP_ERROR, MAP_CONTROL, MAP_VALUES = MAP_CONTROL };
enum { STEP_MAP = 1, STEP_FUNCTION, STEP_STATE, STEP_VALUES = STEP_STATE };
int map_step(lua_State *L);
/* The end of a map, whichever: of its tasks, of the loop, of the invoker. */
int map_finish(lua_State *L, struct map *map, int map_index);

/* --- pool_map_open.c --- */
/* Begins a map. Stack: the invoker, the generator's three values (or the sequence), its closing
 * value. Pushes what a generic `for` takes. `length`: of a sequence, -1 for a generator.
 * `numbered`: the generator's first value is the index of the task, from 1 and growing; by ones,
 * where the map is ordered. */
int map_open(lua_State *L, struct pool *pool, int64_t length, bool numbered);
/* Warns if nobody ever asked the map, which is about to end, for a result: it did nothing. */
void map_warn_unused(const struct map *map);
void map_register(lua_State *L);

/* --- pool_pull.c --- */
/* pull(map, f, s, control, worker): pulls up to map->wanted tasks for this worker, and returns the
 * new control value. Its errors are the generator's. */
int map_pull(lua_State *L);
/* The generator gave its values, the first at `index`: what the task's index is. */
void map_number_task(lua_State *L, struct map *map, int index);
/* On top is what the codec said of a task it calls "task", or nil, the task itself: pushes the
 * message with the task's index in it. */
void map_name_task(lua_State *L, uint64_t index);

/* --- pool_outcome.c --- */
/* Pushes the values of an outcome and gives their number; false: a table of an error's fields is
 * pushed instead. The outcome may lie in a ring, so no code of the user's runs before
 * outcome_finish. */
bool outcome_push(lua_State *L, struct pool *pool, struct outcome *outcome, int *count);
/* Makes an error object of these fields, on top. */
void outcome_make_error(lua_State *L, int pool_index, const struct outcome *outcome,
                        uint64_t delivered);

/* --- pool_future.c --- */
void pool_abandon_futures(struct pool *pool,
                          lua_State *L); /* those without a result never get one */
void future_register(lua_State *L);
int future_submit(lua_State *L); /* invoker:submit(task) */
/* The future of that number has its result; takes the segments. */
void pool_settle(struct pool *pool, struct outcome *outcome);

/* --- worker_process.c --- */
/* L's stack starts with func and model. */
_Noreturn void worker_main(struct pool *pool, lua_State *L, int place);

/* --- task.c: running one --- */
struct task {
    uint64_t index;   /* from 1 */
    uint64_t ordinal; /* of its map, from 1; 0: submitted by itself */
    const char *bytes;
    size_t length;
    const struct codec_port *port;
    struct buffer *out; /* the encoded result goes here */
    unsigned losses;    /* mapping_losses() before it */
    bool out_of_memory; /* out: it failed so; then `out` is empty */
};
/* In a function that task_push_handler's protects, with func and model at these indices: leaves
 * what func(model, task) returns, or raises. */
enum { TASK_FUNC = 2, TASK_MODEL };
void task_call(lua_State *L, const struct task *task);
/* Encodes what task_call left, or raises. */
void task_encode(lua_State *L, struct task *task);
/* Raises if a mapped file lost data meanwhile. */
void task_check(lua_State *L, const struct task *task);
void task_push_handler(lua_State *L);
/* The protected call ended with this status and an error on top: takes it off and encodes it. */
void task_fail(lua_State *L, int status, struct task *task);
/* --- inplace.c --- */
/* Runs the task on top of the stack; below it is the invoker. outcome->index says which it is;
 * kind, bytes (in `out`) and length are filled in. False, with a message pushed, when it can't be
 * sent. */
bool inplace_run(lua_State *L, struct pool *pool, uint64_t ordinal, struct outcome *outcome,
                 struct buffer *out);

/* Appends an encoded failure, as task_fail does for an error, of the given fields. */
struct failure {
    const char *message;
    const char *reason; /* "error", "signal", "exit", "timeout", "memory" */
    int signal, status; /* 0 / -1: none */
};
bool failure_encode(lua_State *L, const struct failure *failure, struct buffer *out);

#endif
