/* What the host knows of a pool: its workers, the tasks between them and it, and the map that runs.
 * What workers see as well is in worker/workplace.h.
 *
 * The files of this folder, lowest first; each calls only files before it in the list:
 *
 *   flight          tasks on their way, in queues
 *   pool_state      struct pool and its workers; map_state.h: one map and its results
 *   pool_output     what workers print
 *   pool_result     results that wait: for their turn in a map, or in a future
 *   pool_collect    results in, from the rings
 *   pool_tokens     which workers may run where make's jobserver counts
 *   pool_dispatch   what runs where next, and the invariants of tasks
 *   pool_scalar.h   tasks and results that are one scalar, without detours
 *   pool_timeline   the pool's timeline, where one is wanted
 *   pool_shared     memory, rings, bells and pipes between host and workers
 *   pool_fault      a worker died: who is to blame, what is run again
 *   pool_processes  the end of workers that are processes
 *   pool_template   the process that forks workers
 *   pool_limits     time and memory of tasks
 *   pool_grant      room in the region for results
 *   pool_fork       the kinds of workers: forked processes,
 *   pool_spawn      new processes,
 *   pool_threads    and threads
 *   pool_life       start and end of all workers
 *   map_end         how a map ends
 *   pool_end        how an invoker ends
 *   inplace         one job: tasks run in the host
 *   outcome         results and errors as Lua values
 *   pool_watch      news, balance, sleep
 *   future          single tasks
 *   map_pull        the tasks that a map pulls from Lua
 *   map_step        the iterator that delivers results to Lua
 *   map             the beginning of a map
 *   invoker         invokers as Lua sees them
 */
#ifndef LKRUN_POOL_STATE_H
#define LKRUN_POOL_STATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <lua.h>

#include "base/channel.h"
#include "base/util.h"
#include "memory/segment.h"
#include "pool/flight.h"
#include "worker/worker_shared.h"
#include "worker/workplace.h"

struct map;
struct pool;
struct pool_trace;
struct progress;
struct storage;

/* Why the tasks that waited for this worker were taken back: it was idle and did not begin them, so
 * it may be slow to wake, or stopped; or it was in a long task. NOT_OVERDUE once it begins another.
 */
enum overdue { NOT_OVERDUE, OVERDUE_IDLE, OVERDUE_BUSY };

/* The host's view of one worker. */
struct worker {
    pid_t pid;         /* 0: none, or not known yet */
    bool starting;     /* asked for and not there yet; of a thread always, for it has no pid */
    bool is_lost;      /* dead, and another could not be made */
    int pidfd;         /* -1: none; then waitpid is asked now and then */
    int bell_fd;       /* wakes the worker */
    int output_fd[2];  /* read ends of its standard output and error */
    int output_end[2]; /* the write ends, for the template and its workers */
    struct buffer unfinished_line[2]; /* what each of them printed since its last newline */
    struct worker_shared *shared;
    struct ring tasks, results;
    struct flight_queue flights; /* at the worker, oldest first */
    uint32_t unpublished;        /* how many of the newest it may not begin yet */
    uint64_t next_index;         /* a task of this index may have a short frame; 0: none may */
    uint32_t committed;          /* results taken in since it started */
    uint32_t window;             /* unbegun tasks it should have */
    uint32_t begun_seen;         /* how many tasks it had begun when last looked at … */
    uint64_t begun_time;         /* … and when that number was first seen */
    uint64_t given_time;         /* when it last got tasks while it had none to begin (coarse) */
    enum overdue overdue;
    uint64_t stopped_since; /* with a timeout: when it was first seen to be stopped; 0: it runs */
    uint64_t busy_seen;     /* nanoseconds that it had been busy when last looked at */
    uint32_t news_seen;     /* shared->news when last taken in */
    uint64_t head_noted;    /* the head of its result ring at the last pool_note */
    uint64_t released;      /* the room in its result ring is given back up to here */
    struct buffer partial_frame; /* pieces of a large frame so far */
    struct segment *lent;        /* tensors of finished tasks, which the worker may still use */
    struct segment *grants;      /* room that was given to it for results */
    bool grant_deferred;         /* it waits for room until other results are delivered */
    bool has_token;              /* of make's jobserver */
    uint64_t unused_since;       /* since when that token is unused (coarse clock); 0: it is used */
    int failed_starts;           /* workers in a row that died here before they were ready */
    uint64_t killed_at; /* 1 + the tasks it had begun when the host killed it; 0: not killed */
    uint64_t tasks_done;
    double busy_before; /* seconds, of earlier workers in this place */
};

/* A kind of worker: what differs between forked processes, spawned ones and threads. Nothing else
 * in the pool asks which kind it has. */
struct worker_kind {
    const char *name;          /* the value of the option `workers` */
    bool in_this_process;      /* they share its backend, and print over their rings */
    bool has_template;         /* they are forked, by a process that can be asked for more */
    bool shares_by_descriptor; /* they get memory as descriptors, for they inherit none */
    /* Makes all workers. False: see pool->reason; pool->started says whether some may be there.
     * L's stack starts with func and model. May raise where these cannot be carried. */
    bool (*start)(struct pool *pool, lua_State *L);
    /* Makes a worker in this empty place. False: see pool->reason. NULL: they die with the pool. */
    bool (*replace)(struct pool *pool, struct worker *worker);
    bool (*can_replace)(const struct pool *pool); /* as far as is known; NULL with `replace` */
    /* Ends all workers and waits for them; the last of what they sent is taken in. */
    void (*stop)(struct pool *pool, lua_State *L);
    /* Frees what the kind keeps beside struct pool; it may be called twice. */
    void (*forget)(struct pool *pool);
    /* Before the workers are made: they may write this storage. False with *error set. */
    bool (*allow_writing)(struct storage *storage, const char **error);
    struct config (*configuration)(const struct config *own); /* inside workers, by default */
};

struct pool {
    struct workplace work; /* what its workers see, too */
    const struct worker_kind *kind;
    uint32_t forks;         /* fork_count when it was made; tells a fork of its process cheaply */
    pid_t template_pid;     /* 0: it has ended */
    int template_fd;        /* the socket to it; -1: it has ended */
    int template_end;       /* the template's side */
    int shared_fd, ring_fd; /* of the memory that is shared by descriptor; -1: none */
    bool started, closed;
    bool end_due;    /* a finalizer asked for its end */
    bool delivering; /* in pool_deliver_scalar */
    bool broken;     /* cannot go on, for this reason: */
    char reason[600];
    struct worker *workers;      /* [options.jobs] */
    struct pollfd *polled;       /* [4 + 3 × jobs] */
    uint32_t generation;         /* of the region's segments, see region_fork_lock; 0: none */
    bool limited;                /* a jobserver says how many workers may run at a moment */
    bool in_place;               /* one job: no process is made */
    struct flight_queue backlog; /* tasks to hand out before any new one is pulled */
    struct map *map;             /* the running map, or NULL */
    uint64_t maps;               /* begun so far */
    uint64_t futures;            /* made so far */
    uint64_t crashes, retried, bytes_out, bytes_in;
    uint64_t done;                    /* tasks that ended in place, or with their worker */
    double mean;                      /* nanoseconds a task takes, smoothed; 0: not known */
    uint64_t caller_time;             /* nanoseconds the caller lately took between two steps */
    uint64_t returned_at;             /* coarse clock when control last went back to the caller */
    uint64_t tick;                    /* coarse clock at the last look around */
    uint32_t until_look;              /* deliveries until the next look around */
    uint32_t until_clock;             /* deliveries until the caller is timed again … */
    uint32_t clock_interval;          /* … and from then on */
    uint64_t memory_look;             /* when memory is to be looked at next */
    struct patience patience;         /* how long the host has lately waited */
    size_t stored_bytes;              /* in results that wait to be delivered */
    bool future_awaited;              /* somebody waits for it: results are granted room at once */
    struct segment *task_segments;    /* of the task that is being encoded */
    struct segment **result_segments; /* of the result that is being decoded */
    struct progress *progress;
    struct pool_trace *trace; /* its timeline, see pool_timeline.h; NULL: none is wanted */
    bool seed_logged;
    struct buffer carried;   /* func and model, for workers that are no forks */
    struct threads *threads; /* see pool_threads.c */
    struct spawn *spawn;     /* see pool_spawn.c */
    struct buffer encoding;  /* the task that is being encoded */
    struct buffer result;    /* in place: of the task that runs */
    struct pool *next;       /* all pools of this process that have a template */
    int futures_ref;         /* registry: weak table, number → future */
    lua_State *L;            /* the state's main thread */
};

/* The work that a worker has ahead should last at least so many nanoseconds. */
#define HORIZON 1000000.0
/* A worker has at most MAX_WINDOW unbegun tasks. No more tasks are pulled while results that wait
 * for their turn take MAX_STORED bytes. */
#define MAX_WINDOW 2048u
#define MAX_STORED ((size_t)64 << 20)

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
    return (worker->pid || worker->starting) && !worker->is_lost;
}
static inline bool worker_is_busy(const struct worker *worker)
{
    return atomic_load_explicit(&worker->shared->busy_since, memory_order_relaxed) != 0;
}

/* The class of invokers, and what their user values are. */
#define POOL_CLASS "lkrun.invoker"
enum pool_value {
    POOL_FUNC = 1,
    POOL_MODEL,
    POOL_MAKE_ERROR,
    POOL_PROGRESS,
    POOL_VALUES = POOL_PROGRESS
};

extern uint32_t fork_count;  /* how many forks led to this process, as far as they were counted */
void pool_count_forks(void); /* counts them from now on */

/* Notes errno as the reason that workers cannot start, and gives false. */
bool pool_fail(struct pool *pool, const char *what);
/* Whether the running map may take another task from its generator. */
bool pool_may_pull(const struct pool *pool);
void pool_log_seed(struct pool *pool); /* once, when a task drew random numbers */

/* A finalizer may run wherever Lua allocates: while a task is encoded or a result decoded, too. So
 * what it asks of an invoker is refused, and its end waits for the next call. */
bool pool_in_finalizer(lua_State *L);
void pool_refuse_finalizer(lua_State *L);
void pool_refuse_copy(lua_State *L, const struct pool *pool); /* in a fork of its process */

#endif
