/* NumPy's .npy files. What a file claims is believed only as far as it has bytes: memory is
 * allocated only once header and shape fit the bytes that are there. */
#include "files/npy.h"

#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#include "base/atomic_file.h"
#include "base/util.h"
#include "files/npy_header.h"
#include "files/sink_tensor.h"
#include "files/stored.h"
#include "tensor/tensor.h"
#include "tensor/tensor_argument.h"

/* ---- Reading ---- */

/* Reads all that is in front of the dictionary: the magic, the version, and the length of the
 * dictionary, which has 2 bytes in version 1 and 4 in versions 2 and 3. */
static bool read_preamble(struct source *source, size_t *dictionary)
{
    unsigned char start[NPY_MAGIC_LENGTH + 2], length[4] = {0};
    if (source->bytes_left < (int64_t)sizeof start)
        return source_fail(source,
                           source->bytes_left ? "it is not a .npy file: too short" : "it is empty");
    if (!source_read(source, start, sizeof start))
        return false;
    if (memcmp(start, NPY_MAGIC, NPY_MAGIC_LENGTH) != 0)
        return source_fail(source, "it is not a .npy file: it does not begin with \\x93NUMPY");
    unsigned major = start[NPY_MAGIC_LENGTH], minor = start[NPY_MAGIC_LENGTH + 1];
    if (major < 1 || major > 3 || minor != 0)
        return source_fail(source, "its format is version %u.%u; expected 1.0, 2.0 or 3.0", major,
                           minor);
    size_t bytes = major == 1 ? 2 : 4;
    if (source->bytes_left < (int64_t)bytes)
        return source_fail(source, "it ends inside its header");
    if (!source_read(source, length, bytes))
        return false;
    *dictionary = (size_t)length[0] | (size_t)length[1] << 8 | (size_t)length[2] << 16 |
                  (size_t)length[3] << 24;
    return true;
}

/* The longest dictionary that is read, in bytes: more than the dtypes of tensors need, so that
 * structured dtypes are read too, and refused with a message that shows their beginning. */
#define HEADER_MOST (1 << 20)

static bool read_header(struct source *source, struct npy_header *header)
{
    size_t length = 0;
    if (!read_preamble(source, &length))
        return false;
    if ((int64_t)length > source->bytes_left)
        return source_fail(source,
                           "its header claims %zu bytes; expected at most the %lld that follow",
                           length, (long long)source->bytes_left);
    if (length > HEADER_MOST)
        return source_fail(source, "its header claims %zu bytes; expected at most %d", length,
                           HEADER_MOST);
    char *text = malloc(length + 1);
    if (!text)
        return source_fail(source, "out of memory");
    bool done = source_read(source, text, length) &&
                npy_parse(text, length, header, source->problem, sizeof source->problem);
    free(text);
    return done;
}

/* Whether as many bytes are left as the shape takes. */
static bool check_length(struct source *source, const struct stored *stored)
{
    int64_t bytes;
    if (!stored_bytes(stored, source, &bytes))
        return false;
    if (bytes == source->bytes_left)
        return true;
    return source_fail(source,
                       "%lld bytes of data follow its header; expected %lld for %s of %.150s",
                       (long long)source->bytes_left, (long long)bytes, stored_name(stored),
                       shape_text(stored->dim, stored->size));
}

static void reverse(int64_t *values, int count)
{
    for (int i = 0; i < count / 2; i++) {
        int64_t value = values[i];
        values[i] = values[count - 1 - i];
        values[count - 1 - i] = value;
    }
}

/* Pushes a view of the tensor with its dimensions in reverse: in Fortran order the first one has
 * the smallest stride. */
static void push_reversed(lua_State *L, const struct tensor *tensor)
{
    int64_t size[TENSOR_MAX_DIM], stride[TENSOR_MAX_DIM];
    for (int d = 0; d < tensor->dim; d++) {
        size[d] = tensor->size[tensor->dim - 1 - d];
        stride[d] = tensor->stride[tensor->dim - 1 - d];
    }
    tensor_view(L, tensor->storage, tensor->dtype, 0, tensor->dim, size, stride);
}

bool npy_read(lua_State *L, struct source *source, bool copy)
{
    struct npy_header header;
    if (!read_header(source, &header) || !check_length(source, &header.stored))
        return false;
    if (header.fortran)
        reverse(header.stored.size, header.stored.dim);
    if (!stored_push(L, source, &header.stored, copy))
        return false;
    if (header.fortran) {
        push_reversed(L, tensor_check(L, -1));
        lua_remove(L, -2);
    }
    return true;
}

/* load(path, copy) */
static int load(lua_State *L)
{
    const char *path = path_argument(L, 1, "lk.load");
    bool copy = lua_toboolean(L, 2);
    struct source *source = source_push(L);
    bool opened = source_open(source, path);
    if (opened && !copy)
        source_map(source, path);
    if (opened && npy_read(L, source, copy))
        return 1;
    return raise_error(L, "lk.load", "%s: %s", path, source->problem);
}

/* ---- Writing ---- */

/* Whether the elements lie in memory one after the other with the first index running fastest. */
static bool is_fortran(const struct tensor *tensor)
{
    int64_t reach = 1;
    for (int d = 0; d < tensor->dim; d++) {
        if (tensor->size[d] != 1 && tensor->stride[d] != reach)
            return false;
        reach *= tensor->size[d];
    }
    return true;
}

static struct npy_header header_of(const struct tensor *tensor)
{
    struct npy_header header = {.stored = {.dtype = tensor->dtype, .dim = tensor->dim}};
    header.fortran = !tensor_is_contiguous(tensor) && is_fortran(tensor);
    for (int d = 0; d < tensor->dim; d++)
        header.stored.size[d] = tensor->size[d];
    return header;
}

int64_t npy_bytes(const struct tensor *tensor)
{
    char text[NPY_HEADER_MOST];
    struct npy_header header = header_of(tensor);
    return (int64_t)npy_format(&header, 0, text) +
           tensor->count * (int64_t)dtype_sizes[tensor->dtype];
}

bool npy_write(struct sink *sink, const struct tensor *tensor, size_t extra)
{
    char text[NPY_HEADER_MOST];
    struct npy_header header = header_of(tensor);
    if (!sink->write(sink, text, npy_format(&header, extra, text)))
        return false;
    if (header.fortran)
        return sink->write(sink, tensor_data(tensor),
                           (size_t)tensor->count * dtype_sizes[tensor->dtype]);
    return sink_write_tensor(sink, tensor);
}

/* save(path, tensor) */
static int save(lua_State *L)
{
    const char *path = path_argument(L, 1, "lk.save");
    const struct tensor *tensor = tensor_argument(L, 2, "lk.save");
    struct atomic_file file;
    bool done = atomic_file_open(&file, path) && npy_write(&file.sink, tensor, 0);
    if (!atomic_file_finish(&file, done))
        raise_error(L, "lk.save", "%s: %s", path, file.problem);
    return 0;
}

static const luaL_Reg functions[] = {{"load", load}, {"save", save}, {NULL, NULL}};

int luaopen_lkrun_core_npy(lua_State *L);
int luaopen_lkrun_core_npy(lua_State *L)
{
    luaL_newlib(L, functions);
    return 1;
}
