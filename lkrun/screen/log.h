/* Log records, and the one way to the user's standard error and output while a bar is drawn. */
#ifndef LKRUN_LOG_H
#define LKRUN_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <lua.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR, LOG_LEVEL_OFF };

struct log_record {
    enum log_level level;
    const char *logger; /* "train"; lkrun's own are "lkrun" */
    const char *text;
    size_t length;
    int worker;    /* from 1; 0: the program itself */
    uint64_t task; /* from 1; 0: none */
};

bool log_enabled(enum log_level level); /* by LK_LOG_LEVEL, default info */
/* Raises when LK_LOG_LEVEL is no level. C code that logs without asking gets info and a warning. */
void log_check_environment(lua_State *L);
/* To the sink of this thread if there is one, else to standard error, around the bar. */
void log_write(const struct log_record *record);
/* A message of lkrun's own, or of a C module. */
void log_message(enum log_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Where this thread's records go instead (a worker's channel). NULL: back to standard error. */
void log_set_sink(void (*sink)(void *context, const struct log_record *record), void *context);

/* Bytes of whole lines to descriptor 1 or 2 of the program, between two drawings of the bar. */
void output_write(int descriptor, const char *bytes, size_t length);
/* 0, or the errno for which bytes to standard output were lost. */
int output_lost(void);

#endif
