/* Lua values to bytes. */
#ifndef LKRUN_CODEC_ENCODE_H
#define LKRUN_CODEC_ENCODE_H

#include <stdbool.h>
#include <lua.h>

#include "base/util.h"
#include "value/codec.h"

/* Appends the `count` values at stack indices first, first + 1, … to `out`. Where one can't be sent
 * it returns false with a message pushed, and `out` keeps its length. The message starts with the
 * path inside the value, whose root is called `root`: "task[3].callback: a function cannot be
 * sent". Several values are called root, root#2, root#3. May raise only for lack of memory. */
bool codec_encode(lua_State *L, int first, int count, const char *root,
                  const struct codec_port *port, struct buffer *out);

#endif
