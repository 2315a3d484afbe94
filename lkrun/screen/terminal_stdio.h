/* The program's own standard output and error while a bar is drawn. */
#ifndef LKRUN_TERMINAL_STDIO_H
#define LKRUN_TERMINAL_STDIO_H

#include <stdint.h>
#include <lua.h>

/* Makes io.stdout and io.stderr of this state follow what is below. Once per state; more do
 * nothing. */
void stdio_install(lua_State *L);
/* Makes stdio_install do nothing in this state: its output goes elsewhere, or it is a thread's. */
void stdio_pass_over(lua_State *L);
/* From now on what C or Lua writes through stdio to the terminal, or to a pipe, goes through
 * output_write, and so above the bar. Each call is undone by stdio_release. */
void stdio_capture(void);
void stdio_release(void);
/* In a new worker: drops what the parent had not written yet; from now on stdout and stderr go out
 * line by line, and stdio_written counts how often something did. */
void stdio_enter_worker(void);
uint64_t stdio_written(void);

#endif
