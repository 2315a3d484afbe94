/* Timelines in the Chrome trace format, for Perfetto and `lkrun trace`. */
#ifndef LKRUN_TRACE_H
#define LKRUN_TRACE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/channel.h"

/* --- the file: one a path and process, shared by its invokers --- */

struct trace_file;

/* NULL with `problem` filled in. */
struct trace_file *trace_open(const char *path, char *problem, size_t size);
/* In a process that only inherited it: does nothing. */
void trace_close(struct trace_file *file);
/* Appends an event, a JSON object of one line, whole or not at all. */
void trace_event(struct trace_file *file, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* A stretch of time in a row. */
struct trace_span {
    unsigned process, row;
    uint64_t begun, ended;
    const char *category;
    const char *name;
    uint64_t number;    /* follows the name; 0: none */
    const char *colour; /* of Chrome's palette, or NULL */
    struct {
        const char *key; /* NULL: no more */
        uint64_t value;
    } details[4];
};
/* As trace_event, at a tenth of the cost. */
void trace_put(struct trace_file *file, const struct trace_span *span);
/* Writes what is gathered, if that is much or old. */
void trace_look(struct trace_file *file, uint64_t now);
/* Invokers get numbers, the processes of the trace, from 1. */
unsigned trace_number(struct trace_file *file);
/* Microseconds since the file was opened, for an event of one's own. */
#define TRACE_TIME               "%llu.%03u"
#define TRACE_TIME_OF(file, now) trace_microseconds(file, now), (unsigned)((now) % 1000)
unsigned long long trace_microseconds(const struct trace_file *file, uint64_t now);
/* Text as the inside of a JSON string, cut to fit. */
const char *trace_escape(char *to, size_t size, const char *text);

/* --- a worker's part: what it did, in memory that it shares with the host --- */

enum span_kind { SPAN_TASK = 1, SPAN_FAILED, SPAN_IDLE };

struct trace_record {
    uint64_t index; /* of the task */
    uint64_t begun, ended;
    uint32_t kind;
    uint32_t map; /* its ordinal; 0: a submitted task */
};

/* More than a worker can run while the host looks away: see MAX_WINDOW. */
#define LANE_RECORDS 4096u

/* Invariant: records from tail to head are whole; the worker writes head, the host tail. The task
 * that runs stands in `running` alone while `since` is not 0. */
struct trace_lane {
    _Alignas(CACHE_LINE) _Atomic uint64_t head;
    _Atomic uint64_t since;
    struct trace_record running;
    _Atomic uint64_t lost; /* records there was no room for */
    _Alignas(CACHE_LINE) _Atomic uint64_t tail;
    struct trace_record records[LANE_RECORDS];
};

void lane_begin(struct trace_lane *lane, uint64_t index, uint64_t map);
void lane_end(struct trace_lane *lane, bool failed);
void lane_idle(struct trace_lane *lane, uint64_t begun, uint64_t ended);

#endif
