/* Bytes to functions, and to all values they reach. */
#ifndef LKRUN_CARRY_DECODE_H
#define LKRUN_CARRY_DECODE_H

#include <stddef.h>
#include <lua.h>

#include "value/carry.h"

/* Pushes the values in these bytes and returns their number. From then on a carried function that
 * reads a global of the sender's program, which does not exist here, gets an error that says so.
 * Raises where a module can't be loaded, or lacks what the bytes name in it. */
int carry_decode(lua_State *L, const char *bytes, size_t length, const struct carry_port *port);

#endif
