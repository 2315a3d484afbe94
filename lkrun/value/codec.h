/* Lua values as bytes, which is how they travel between processes and threads: what the sender
 * (codec_encode.h) and the receiver (codec_decode.h) agree on. */
#ifndef LKRUN_CODEC_H
#define LKRUN_CODEC_H

#include <stddef.h>
#include <stdint.h>

struct storage;

/* How deep tables may nest: as deep as the receiver's Lua stack of a million slots has room for. */
#define CODEC_MAX_DEPTH      200000
#define CODEC_MAX_DEPTH_TEXT "200,000"

/* How tensors of more than REGION_THRESHOLD bytes travel beside the bytes of a message. Without a
 * port they are part of those bytes. */
struct codec_port {
    void *context;
    /* Sender: gives memory for `bytes` bytes that the receiver will see, and the handle that names
     * it to the receiver. NULL, with *error set to a message, when there is no room. A codec_encode
     * that returns false, or raises, has sent nothing: no message names the memory it was given, so
     * the owner of `context` notes the handles given out since the call began and takes that memory
     * back. */
    void *(*place)(void *context, size_t bytes, uint64_t *handle, const char **error);
    /* Receiver: gives the storage of that handle, with one reference for the caller; NULL with
     * *error set. Its data start where `place` said. Not called when the bytes in front of the
     * handle are no valid encoding. */
    struct storage *(*fetch)(void *context, uint64_t handle, size_t bytes, const char **error);
};

#endif
