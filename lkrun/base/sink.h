/* Where the bytes of a file go, one after the other. */
#ifndef LKRUN_SINK_H
#define LKRUN_SINK_H

#include <stdbool.h>
#include <stddef.h>

struct sink {
    /* False when writing failed; the sink itself keeps a note of the problem. */
    bool (*write)(struct sink *sink, const void *bytes, size_t length);
};

#endif
