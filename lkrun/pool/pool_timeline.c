/* Rows of a timeline: row 0 is the host, row i is worker i. Spans nest in the host's row: a map, in
 * it the caller's code, dispatching, waiting. Everything is written by the host, from its own clock
 * or from the workers' lanes, which are filled from the same clock.
 *
 * What always holds: a lane is emptied at least as often as the host hands out tasks, so that what
 * a worker may run meanwhile fits in it; and once more when its worker is dead. */
#include "pool/pool_timeline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "pool/flight.h"
#include "pool/map_state.h"
#include "pool/pool_state.h"
#include "screen/trace.h"
#include "worker/worker_shared.h"

#define COUNTER_INTERVAL 10000000u /* nanoseconds */
/* Spans of the host that are shorter than this are left out. */
#define SPAN_MIN 5000u /* nanoseconds */

struct pool_trace {
    struct trace_file *file;
    unsigned process;   /* the invoker's number in the file */
    uint64_t map_begun; /* 0: no map runs */
    uint64_t left;      /* when control went back to the caller; 0: the host has it */
    uint64_t counted;   /* when counters were last written */
    uint64_t counts[4]; /* the counters as they were written then */
};

static void name_row(const struct pool_trace *trace, unsigned row, const char *name)
{
    trace_event(trace->file,
                "{\"ph\":\"M\",\"pid\":%u,\"tid\":%u,\"name\":\"thread_name\",\"args\":"
                "{\"name\":\"%s\"}},\n{\"ph\":\"M\",\"pid\":%u,\"tid\":%u,"
                "\"name\":\"thread_sort_index\",\"args\":{\"sort_index\":%u}}",
                trace->process, row, name, trace->process, row, row);
}

bool pool_trace_open(struct pool *pool, const char *path, const char *where)
{
    char problem[256], place[256];
    struct trace_file *file = trace_open(path, problem, sizeof problem);
    if (!file) {
        snprintf(pool->reason, sizeof pool->reason, "the timeline %.200s cannot be written: %s",
                 path, problem);
        return false;
    }
    struct pool_trace *trace = calloc(1, sizeof *trace);
    if (!trace) {
        trace_close(file);
        snprintf(pool->reason, sizeof pool->reason, "not enough memory");
        return false;
    }
    *trace = (struct pool_trace){.file = file, .process = trace_number(file)};
    trace_event(file,
                "{\"ph\":\"M\",\"pid\":%u,\"tid\":0,\"name\":\"process_name\",\"args\":"
                "{\"name\":\"invoker %u %s\",\"jobs\":%d}}",
                trace->process, trace->process, trace_escape(place, sizeof place, where),
                pool->work.options.jobs);
    name_row(trace, 0, "host");
    for (int i = 1; i <= pool->work.options.jobs && !pool->in_place; i++) {
        char name[32];
        snprintf(name, sizeof name, "worker %d", i);
        name_row(trace, (unsigned)i, name);
    }
    pool->trace = trace;
    return true;
}

void pool_trace_close(struct pool *pool)
{
    if (pool->trace->map_begun)
        pool_trace_map(pool, false);
    trace_close(pool->trace->file);
    free(pool->trace);
    pool->trace = NULL;
}

/* --- lanes --- */

size_t pool_trace_room(const struct pool *pool, size_t *offset)
{
    size_t alignment = _Alignof(struct trace_lane);
    *offset = 0;
    if (!pool->trace)
        return 0;
    *offset = (pool->work.shared_size + alignment - 1) / alignment * alignment;
    return *offset - pool->work.shared_size +
           (size_t)pool->work.options.jobs * sizeof(struct trace_lane);
}

static void write_task(const struct pool_trace *trace, unsigned row,
                       const struct trace_record *record, const char *trouble)
{
    struct trace_span span = {.process = trace->process,
                              .row = row,
                              .begun = record->begun,
                              .ended = record->ended,
                              .category = "task",
                              .name = record->map ? "task" : "submitted",
                              .number = record->index,
                              .colour = trouble ? "terrible" : NULL,
                              .details = {{"index", record->index}, {"map", record->map}}};
    if (trouble) {
        span.details[2].key = trouble;
        span.details[2].value = 1;
    }
    trace_put(trace->file, &span);
}

static void write_idle(const struct pool_trace *trace, unsigned row,
                       const struct trace_record *record)
{
    struct trace_span span = {.process = trace->process,
                              .row = row,
                              .begun = record->begun,
                              .ended = record->ended,
                              .category = "idle",
                              .name = "waits for tasks",
                              .colour = "grey"};
    trace_put(trace->file, &span);
}

static void empty_lane(const struct pool_trace *trace, struct trace_lane *lane, unsigned row)
{
    uint64_t head = atomic_load_explicit(&lane->head, memory_order_acquire);
    uint64_t tail = atomic_load_explicit(&lane->tail, memory_order_relaxed);
    for (; tail != head; tail++) {
        struct trace_record record = lane->records[tail % LANE_RECORDS];
        if (record.kind == SPAN_IDLE)
            write_idle(trace, row, &record);
        else
            write_task(trace, row, &record, record.kind == SPAN_FAILED ? "error" : NULL);
    }
    atomic_store_explicit(&lane->tail, tail, memory_order_release);
    uint64_t lost = atomic_exchange_explicit(&lane->lost, 0, memory_order_relaxed);
    if (lost)
        trace_event(trace->file,
                    "{\"ph\":\"i\",\"s\":\"t\",\"pid\":%u,\"tid\":%u,\"ts\":" TRACE_TIME
                    ",\"cat\":\"lost\",\"name\":\"%llu tasks left out\",\"args\":{\"count\":%llu}}",
                    trace->process, row, TRACE_TIME_OF(trace->file, clock_nanoseconds()),
                    (unsigned long long)lost, (unsigned long long)lost);
}

/* --- counters --- */

static void write_counter(const struct pool_trace *trace, uint64_t now, const char *name,
                          const char *values)
{
    trace_event(trace->file,
                "{\"ph\":\"C\",\"pid\":%u,\"tid\":0,\"ts\":" TRACE_TIME
                ",\"name\":\"%s\",\"args\":{%s}}",
                trace->process, TRACE_TIME_OF(trace->file, now), name, values);
}

static void count(struct pool *pool, uint64_t now)
{
    struct pool_trace *trace = pool->trace;
    uint64_t ahead = pool->backlog.count;
    for (int i = 0; i < pool->work.options.jobs; i++)
        if (worker_is_usable(&pool->workers[i]))
            ahead += worker_unbegun(&pool->workers[i], claim_of(&pool->workers[i]));
    const uint64_t counts[4] = {ahead, pool->stored_bytes, pool->bytes_out, pool->bytes_in};
    if (now - trace->counted < COUNTER_INTERVAL ||
        memcmp(counts, trace->counts, sizeof counts) == 0)
        return;
    char values[96];
    trace->counted = now;
    memcpy(trace->counts, counts, sizeof counts);
    snprintf(values, sizeof values, "\"tasks\":%llu", (unsigned long long)ahead);
    write_counter(trace, now, "tasks ahead", values);
    snprintf(values, sizeof values, "\"bytes\":%zu", pool->stored_bytes);
    write_counter(trace, now, "undelivered results", values);
    snprintf(values, sizeof values, "\"sent\":%llu,\"received\":%llu",
             (unsigned long long)pool->bytes_out, (unsigned long long)pool->bytes_in);
    write_counter(trace, now, "bytes", values);
}

void pool_trace_collect(struct pool *pool)
{
    uint64_t now = clock_nanoseconds();
    for (int i = 0; pool->work.shared && i < pool->work.options.jobs; i++)
        empty_lane(pool->trace, lane_of(pool->work.shared, i), (unsigned)i + 1);
    if (pool->started)
        count(pool, now);
    trace_look(pool->trace->file, now);
}

/* --- the host's row --- */

/* Writes a span of the host from `begun` until now; the other fields are given in `span`. */
static void write_host(const struct pool_trace *trace, uint64_t begun, struct trace_span span)
{
    span.process = trace->process;
    span.begun = begun;
    span.ended = clock_nanoseconds();
    if (span.ended - begun >= SPAN_MIN)
        trace_put(trace->file, &span);
}

void pool_trace_map(struct pool *pool, bool begins)
{
    struct pool_trace *trace = pool->trace;
    if (begins) {
        trace->map_begun = trace->left = clock_nanoseconds();
        return;
    }
    trace->counted = 0; /* the last counters of a map are written however soon they follow */
    if (pool->work.shared)
        pool_trace_collect(pool);
    if (trace->map_begun)
        write_host(trace, trace->map_begun,
                   (struct trace_span){.category = "map", .name = "map", .number = pool->maps});
    trace->map_begun = trace->left = 0;
}

void pool_trace_enter(struct pool *pool)
{
    struct pool_trace *trace = pool->trace;
    if (trace->left)
        write_host(trace, trace->left,
                   (struct trace_span){.category = "caller", .name = "the caller's code"});
    trace->left = 0;
}

void pool_trace_leave(struct pool *pool)
{
    struct pool_trace *trace = pool->trace;
    if (trace->map_begun)
        trace->left = clock_nanoseconds();
}

/* Notes what the host waited for: the next result in order, and which worker has its task. */
void pool_trace_wait(struct pool *pool, uint64_t begun)
{
    const struct map *map = pool->map;
    struct trace_span span = {.category = "wait", .name = "waits for a submitted task"};
    if (map && !map->slots) {
        span.name = "waits for any task";
    } else if (map) {
        uint64_t due = map->delivered + 1 + map->shift;
        const struct task_slot *slot = &map->slots[due & (map->capacity - 1)];
        bool at_worker = map->delivered < map->pulled && slot->state == SLOT_AT_WORKER;
        span.name = "waits for task";
        span.number = due;
        span.details[0].key = "index";
        span.details[0].value = due;
        span.details[1].key = "worker";
        span.details[1].value = at_worker ? slot->worker + 1u : 0;
    }
    write_host(pool->trace, begun, span);
}

void pool_trace_dispatch(struct pool *pool, uint64_t begun, const struct worker *worker,
                         uint64_t tasks)
{
    uint64_t number = (uint64_t)(worker - pool->workers) + 1;
    write_host(pool->trace, begun,
               (struct trace_span){.category = "dispatch",
                                   .name = "dispatches",
                                   .details = {{"tasks", tasks}, {"worker", number}}});
}

void pool_trace_own(struct pool *pool, uint64_t begun, uint64_t index, bool failed)
{
    const struct trace_record record = {.index = index,
                                        .begun = begun,
                                        .ended = clock_nanoseconds(),
                                        .kind = failed ? SPAN_FAILED : SPAN_TASK,
                                        .map = pool->map ? (uint32_t)pool->maps : 0};
    write_task(pool->trace, 0, &record, failed ? "error" : NULL);
    trace_look(pool->trace->file, record.ended);
}

/* --- workers' lives --- */

static void mark(const struct pool_trace *trace, unsigned row, const char *category,
                 const char *name, const char *arguments)
{
    trace_event(trace->file,
                "{\"ph\":\"i\",\"s\":\"t\",\"pid\":%u,\"tid\":%u,\"ts\":" TRACE_TIME
                ",\"cat\":\"%s\",\"name\":\"%s\",\"args\":{%s}}",
                trace->process, row, TRACE_TIME_OF(trace->file, clock_nanoseconds()), category,
                name, arguments);
}

void pool_trace_started(struct pool *pool, const struct worker *worker)
{
    char arguments[32];
    snprintf(arguments, sizeof arguments, "\"pid\":%d", (int)worker->pid);
    mark(pool->trace, (unsigned)(worker - pool->workers) + 1, "start", "starts", arguments);
}

void pool_trace_death(struct pool *pool, const struct worker *worker, const char *how,
                      const struct flight *flight, bool again)
{
    struct pool_trace *trace = pool->trace;
    int place = (int)(worker - pool->workers);
    unsigned row = (unsigned)place + 1;
    struct trace_lane *lane = lane_of(pool->work.shared, place);
    char text[160], arguments[256], name[64];
    empty_lane(trace, lane, row);
    trace_escape(text, sizeof text, how);
    if (atomic_load(&lane->running_since) && flight) {
        struct trace_record record = lane->running;
        record.ended = clock_nanoseconds();
        record.kind = SPAN_FAILED;
        write_task(trace, row, &record, "crash");
    }
    atomic_store(&lane->running_since, 0);
    unsigned long long index = flight ? flight->index : 0;
    snprintf(arguments, sizeof arguments, "\"how\":\"%s\",\"index\":%llu", text, index);
    mark(trace, row, flight ? "crash" : "end", flight ? "crash" : "ends", arguments);
    if (!flight || !again)
        return;
    snprintf(name, sizeof name, "retries task %llu", index);
    snprintf(arguments, sizeof arguments, "\"index\":%llu", index);
    mark(trace, 0, "retry", name, arguments);
}
