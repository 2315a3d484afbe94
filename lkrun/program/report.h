/* How an error that nobody caught is told, and what exit status it gives. */
#ifndef LKRUN_REPORT_H
#define LKRUN_REPORT_H

#include <stdbool.h>
#include <lua.h>

enum exit_status { STATUS_DONE = 0, STATUS_FAILED = 1, STATUS_MISUSE = 2 }; /* 128 + n: signal n */

#define COMMAND_FAILURE "lkrun.command.Failure" /* class of { status =, message = } */

/* lua_pcall of a program: an error comes back as the text that report_error prints, traceback and
 * all. */
int report_call(lua_State *L, int arguments, int results);
/* Prints the error on the top of the stack to standard error and pops it; gives the exit status. */
int report_error(lua_State *L);
/* One line on standard error, "lkrun: …", around the bar. */
void report_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* From now on exit() says so, and ends with status 1, when something written to standard output
 * was lost: a full disk, a closed descriptor. */
void report_lost_output_at_exit(void);

#endif
