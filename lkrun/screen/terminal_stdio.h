/* The program's own standard output and error while a bar is drawn. */
#ifndef LKRUN_TERMINAL_STDIO_H
#define LKRUN_TERMINAL_STDIO_H

#include <stdint.h>
#include <lua.h>

/* Makes io.stdout and io.stderr of this state follow stdout and stderr while those are captured. A
 * second call for a state does nothing. */
void stdio_install(lua_State *L);
/* Makes stdio_install do nothing in this state: its output goes elsewhere, or it is a thread's. */
void stdio_pass_over(lua_State *L);
/* From now on what C or Lua writes through stdio to the terminal, or to a pipe, goes above the
 * bars, until stdio_release. */
void stdio_capture(void);
void stdio_release(void);
/* In a new worker: drops what the parent had not written yet. From now on stdout and stderr go out
 * line by line. */
void stdio_enter_worker(void);
/* How many writes a worker's stdout and stderr have made. */
uint64_t stdio_written(void);

#endif
