/* Writing the elements of a tensor to a sink. */
#ifndef LKRUN_SINK_TENSOR_H
#define LKRUN_SINK_TENSOR_H

#include <stdbool.h>

#include "base/sink.h"
#include "tensor/tensor.h"

/* Writes the elements in order, the last index running fastest. False where the sink failed. */
bool sink_write_tensor(struct sink *sink, const struct tensor *tensor);

#endif
