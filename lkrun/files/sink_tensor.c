#include "files/sink_tensor.h"

#include "tensor/tensor.h"
#include "tensor/tensor_walk.h"

/* Elements that are not in order are gathered, this many bytes at a time. */
#define CHUNK 65536

static bool write_strided(struct sink *sink, const struct tensor *tensor)
{
    char chunk[CHUNK];
    int64_t element = (int64_t)dtype_sizes[tensor->dtype], most = CHUNK / element, used = 0;
    struct walk walk;
    const struct tensor *operands[] = {tensor};
    for (walk_begin(&walk, 1, operands, WALK_ROW_MAJOR); walk.rows; walk_next(&walk)) {
        for (int64_t done = 0; done < walk.length;) {
            int64_t count = walk.length - done < most - used ? walk.length - done : most - used;
            copy_row((size_t)element, count, chunk + used * element, element,
                     walk.at[0] + done * walk.step[0], walk.step[0]);
            done += count;
            used += count;
            if (used == most && !sink->write(sink, chunk, (size_t)(used * element)))
                return false;
            used = used == most ? 0 : used;
        }
    }
    return sink->write(sink, chunk, (size_t)(used * element));
}

bool sink_write_tensor(struct sink *sink, const struct tensor *tensor)
{
    if (tensor_is_contiguous(tensor))
        return sink->write(sink, tensor_data(tensor),
                           (size_t)tensor->count * dtype_sizes[tensor->dtype]);
    return write_strided(sink, tensor);
}
