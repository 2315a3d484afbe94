/* Timelines in the Chrome trace format, for Perfetto and `lkrun trace`. */
#ifndef LKRUN_TRACE_H
#define LKRUN_TRACE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/channel.h"

/* --- the file: one for each path in a process, shared by its invokers --- */

struct trace_file;

/* Opens the timeline at `path`, or joins the invokers of this process that write it. NULL, with
 * `problem` filled in, where it can't be written. */
struct trace_file *trace_open(const char *path, char *problem, size_t size);
/* Does nothing in a process that only inherited the file. */
void trace_close(struct trace_file *file);
/* Appends an event: a JSON object on one line, whole or not at all. */
void trace_event(struct trace_file *file, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* A stretch of time in a row of the timeline; times as of clock_nanoseconds. */
struct trace_span {
    unsigned process, row;
    uint64_t begun, ended;
    const char *category;
    const char *name;
    uint64_t number;    /* is put behind the name; 0: nothing is */
    const char *colour; /* of Chrome's palette, or NULL */
    struct {
        const char *key; /* NULL: no more */
        uint64_t value;
    } details[4];
};
/* As trace_event, at a tenth of the cost. */
void trace_put(struct trace_file *file, const struct trace_span *span);
/* Writes what is gathered, if the last write was more than 0.1 s before `now`. */
void trace_look(struct trace_file *file, uint64_t now);
/* A number for the next invoker, from 1: the timeline shows each as a process. */
unsigned trace_number(struct trace_file *file);
/* printf's format and arguments for a time `now`, as of clock_nanoseconds, in an event:
 * microseconds since the start of the timeline. */
#define TRACE_TIME               "%llu.%03u"
#define TRACE_TIME_OF(file, now) trace_microseconds(file, now), (unsigned)((now) % 1000)
unsigned long long trace_microseconds(const struct trace_file *file, uint64_t now);
/* Writes a text as the inside of a JSON string, cut to fit into `size` bytes. Gives `to`. */
const char *trace_escape(char *to, size_t size, const char *text);

/* --- a worker's part: what it did, in memory that it shares with the host --- */

enum span_kind { SPAN_TASK = 1, SPAN_FAILED, SPAN_IDLE };

struct trace_record {
    uint64_t index; /* of the task */
    uint64_t begun, ended;
    uint32_t kind;
    uint32_t map; /* ordinal of the task's map; 0: the task was submitted */
};

/* More than a worker can finish between two looks of the host, because it has at most MAX_WINDOW
 * (pool_state.h) tasks ahead. */
#define LANE_RECORDS 4096u

/* Invariant: the records from tail to head are whole; the worker alone moves head, the host alone
 * moves tail. While `running_since` is not 0 a task runs, which only `running` describes. */
struct trace_lane {
    _Alignas(CACHE_LINE) _Atomic uint64_t head;
    _Atomic uint64_t running_since; /* when the running task began; 0: none runs */
    struct trace_record running;
    _Atomic uint64_t lost; /* records there was no room for */
    _Alignas(CACHE_LINE) _Atomic uint64_t tail;
    struct trace_record records[LANE_RECORDS];
};

void lane_begin(struct trace_lane *lane, uint64_t index, uint64_t map);
void lane_end(struct trace_lane *lane, bool failed);
void lane_idle(struct trace_lane *lane, uint64_t begun, uint64_t ended);

#endif
