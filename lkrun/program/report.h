/* How an error that nobody caught is reported, and which exit status it gives. */
#ifndef LKRUN_REPORT_H
#define LKRUN_REPORT_H

#include <stdbool.h>
#include <lua.h>

/* A program that was ended by signal n has the exit status 128 + n. */
enum exit_status { STATUS_DONE = 0, STATUS_FAILED = 1, STATUS_MISUSE = 2 };

/* Class (__name) of the tables {status =, message =} that a command raises to end lkrun. */
#define COMMAND_FAILURE "lkrun.command.Failure"

/* As lua_pcall, for code of the program: on failure the error on the top of the stack is what
 * report_error prints, with a traceback. */
int report_call(lua_State *L, int arguments, int results);
/* Prints the error on the top of the stack to standard error and pops it; gives the exit status. */
int report_error(lua_State *L);
/* Prints "lkrun: …", one line, to standard error, above the bars. */
void report_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* From now on, when something that was written to standard output was lost (a full disk, a closed
 * descriptor), exit() says so, and the status is 1. */
void report_lost_output_at_exit(void);

#endif
