/* Lua values ↔ bytes: what travels between processes. */
#ifndef LKRUN_CODEC_H
#define LKRUN_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <lua.h>
#include "value/codec_scalar.h" /* codec_put, codec_get: the same bytes, inline, for single scalars */
#include "base/util.h"
#include "memory/storage.h"

/* Of the encoding; where it is stored its owner writes this first. Messages carry none. */
#define CODEC_VERSION 1

/* Tables nested in each other: what a receiver's Lua stack of a million slots has room for. */
#define CODEC_MAX_DEPTH      200000
#define CODEC_MAX_DEPTH_TEXT "200,000"

/* How tensors above REGION_THRESHOLD bytes travel beside the bytes. With no port they lie inline.
 */
struct codec_port {
    void *context;
    /* Sender: memory for `bytes` bytes that the receiver will see, and the handle that names it to
     * the receiver. NULL with *error set (a message) when there is no room. A codec_encode that
     * returns false, or raises, has sent nothing: what it placed is named in no message, so the
     * owner of `context` notes the handles it gave since the call began and takes them back. */
    void *(*place)(void *context, size_t bytes, uint64_t *handle, const char **error);
    /* Receiver: the storage under that handle, one reference for the caller; NULL with *error set.
     * Its data starts where `place` said. Not called where the bytes before it are no encoding. */
    struct storage *(*fetch)(void *context, uint64_t handle, size_t bytes, const char **error);
};

/* Appends the `count` values at stack indices first, first + 1, … to `out`. Returns false, with a
 * message pushed, when one can't be sent; the message starts with the path inside the value, whose
 * root is called `root`: "task[3].callback: a function cannot be sent". Several values are
 * root, root#2, root#3. `out` keeps its length then. May raise only for lack of memory. */
bool codec_encode(lua_State *L, int first, int count, const char *root,
                  const struct codec_port *port, struct buffer *out);

/* Pushes the values in these bytes and returns their number, or -1 with a message pushed when the
 * bytes are no encoding (truncated, unknown tag) or a handle can't be fetched. Never reads past
 * `length`, and makes nothing larger than `length` accounts for. May raise for lack of memory. */
int codec_decode(lua_State *L, const void *bytes, size_t length, const struct codec_port *port);

#endif
