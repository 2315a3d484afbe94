/* Failures of tasks: their fields, encoded as an error, and the sentences that describe them. */
#ifndef LKRUN_FAILURE_H
#define LKRUN_FAILURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <lua.h>

#include "base/util.h"
#include "worker/workplace.h"

struct failure {
    const char *message;
    const char *reason; /* "error", "signal", "exit", "timeout", "memory" */
    int signal, status; /* `signal` is 0 and `status` is -1 where there is none */
};
/* Appends the failure to `out`, encoded as task_fail encodes an error. False: there was no memory.
 */
bool failure_encode(lua_State *L, const struct failure *failure, struct buffer *out);

/* Room for a sentence about a task that fails together with its worker, in bytes. */
#define FAILURE_TEXT 400

struct failed_task {
    uint64_t index; /* as in struct flight */
    bool is_future;
    uint32_t attempts; /* times a worker died of it */
    int worker;        /* from 1 */
};

/* Stands for the wait status of a worker where it is lost, because the program ignores SIGCHLD. */
#define STATUS_LOST (-1)

/* "SIGKILL; the kernel's out-of-memory killer is a usual cause", "exit status 3" */
void describe_end(int status, char *text, size_t size);
/* "task 7", "submitted task 7" */
void describe_task(char *text, size_t size, const struct failed_task *task);
/* The end of a sentence about a failed task: that `retries` would run it again, or how often it was
 * tried. */
void describe_retries(char *text, size_t size, const struct pool_options *options,
                      const struct failed_task *task);
/* The whole sentence about a task that needed too much memory. */
void describe_memory(char text[FAILURE_TEXT], const struct pool_options *options,
                     const struct failed_task *task);

#endif
