/* Functions, and all values they reach, to bytes. */
#ifndef LKRUN_CARRY_ENCODE_H
#define LKRUN_CARRY_ENCODE_H

#include <lua.h>

#include "base/util.h"
#include "value/carry.h"

/* Appends the `count` values on top of the stack, called names[0] …, to `out`. Raises for what
 * can't be carried, with its path: "lkrun: WHERE: func.upvalue helper: a coroutine cannot be
 * carried". The caller frees `out`, after an error too. */
void carry_encode(lua_State *L, const char *where, const char *const *names, int count,
                  const struct carry_port *port, struct buffer *out);

#endif
