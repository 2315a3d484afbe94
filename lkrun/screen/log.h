/* Log records: who may write them, and where they go. */
#ifndef LKRUN_LOG_H
#define LKRUN_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <lua.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

struct log_record {
    enum log_level level;
    const char *logger; /* its name, such as "train"; that of lkrun's own messages is "lkrun" */
    const char *text;
    size_t length;
    int worker;    /* number of the worker that logged it, from 1; 0: the program itself */
    uint64_t task; /* number of the task that the worker was running, from 1; 0: none */
};

/* Whether records of this level are written. The lowest level is what lk.log.set_level has set,
 * else LK_LOG_LEVEL, else info. */
bool log_enabled(enum log_level level);
/* Raises when LK_LOG_LEVEL is not a level. C code that logs without calling this gets info, and a
 * warning before its first message. */
void log_check_environment(lua_State *L);
/* Gives the record to this thread's handler if there is one, else writes it to standard error,
 * above the bars. */
void log_write(const struct log_record *record);
/* A record of lkrun's own or of a C module, if its level is enabled. */
void log_message(enum log_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* From now on `handle` gets this thread's records (a worker's send them to the host). NULL: they go
 * to standard error again. */
void log_set_handler(void (*handle)(void *context, const struct log_record *record), void *context);

#endif
