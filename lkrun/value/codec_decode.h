/* Bytes to Lua values. */
#ifndef LKRUN_CODEC_DECODE_H
#define LKRUN_CODEC_DECODE_H

#include <stddef.h>
#include <lua.h>

#include "value/codec.h"

/* Pushes the values in these bytes and returns their number, or -1 with a message pushed when the
 * bytes are no encoding (truncated, unknown tag) or a handle can't be fetched. Never reads past
 * `length`, and makes nothing larger than `length` accounts for. May raise for lack of memory. */
int codec_decode(lua_State *L, const void *bytes, size_t length, const struct codec_port *port);

#endif
