/* NumPy's .npy files. A file is believed no further than its length goes: memory is asked for only
 * once header and shape fit the bytes that are there. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lua.h>
#include <lauxlib.h>

#include "atomic_file.h"
#include "npy_header.h"
#include "tensor_class.h"
#include "tensor_walk.h"
#include "util.h"

/* ---- Reading ---- */

/* An open file and what is known of it. On failure `problem` says why. */
struct source {
    int fd;
    int64_t left; /* bytes from here to the end */
    struct npy_header header;
    char problem[256];
};

static bool fail(struct source *source, const char *problem)
{
    snprintf(source->problem, sizeof source->problem, "%s", problem);
    return false;
}

static bool open_source(struct source *source, const char *path)
{
    struct stat status;
    source->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (source->fd < 0)
        return fail(source, strerror(errno));
    if (fstat(source->fd, &status) < 0)
        return fail(source, strerror(errno));
    if (!S_ISREG(status.st_mode))
        return fail(source, S_ISDIR(status.st_mode) ? "it is a directory; a file is expected"
                                                    : "it is no regular file");
    source->left = status.st_size;
    return true;
}

static bool read_bytes(struct source *source, void *bytes, size_t length)
{
    char *at = bytes;
    while (length > 0) {
        ssize_t done = read(source->fd, at, length < 1u << 30 ? length : 1u << 30);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return fail(source, strerror(errno));
        if (done == 0)
            return fail(source, "it ends before its data do; it was cut off");
        at += done;
        length -= (size_t)done;
        source->left -= done;
    }
    return true;
}

/* Reads the length of the dictionary, of 2 bytes in version 1 and of 4 in 2 and 3. */
static bool read_preamble(struct source *source, size_t *dictionary)
{
    unsigned char start[NPY_MAGIC_LENGTH + 2], length[4] = {0};
    if (source->left < (int64_t)sizeof start)
        return fail(source, source->left ? "it is no .npy file: too short" : "it is empty");
    if (!read_bytes(source, start, sizeof start))
        return false;
    if (memcmp(start, NPY_MAGIC, NPY_MAGIC_LENGTH) != 0)
        return fail(source, "it is no .npy file: it does not begin with \\x93NUMPY");
    unsigned major = start[NPY_MAGIC_LENGTH], minor = start[NPY_MAGIC_LENGTH + 1];
    if (major < 1 || major > 3 || minor != 0) {
        snprintf(source->problem, sizeof source->problem,
                 "its format is version %u.%u; 1.0, 2.0 or 3.0 is expected", major, minor);
        return false;
    }
    size_t bytes = major == 1 ? 2 : 4;
    if (source->left < (int64_t)bytes)
        return fail(source, "it ends inside its header");
    if (!read_bytes(source, length, bytes))
        return false;
    *dictionary = (size_t)length[0] | (size_t)length[1] << 8 | (size_t)length[2] << 16 |
                  (size_t)length[3] << 24;
    return true;
}

static bool read_header(struct source *source)
{
    size_t length;
    if (!read_preamble(source, &length))
        return false;
    if ((int64_t)length > source->left) {
        snprintf(source->problem, sizeof source->problem,
                 "its header claims %zu bytes; the file has %lld more", length,
                 (long long)source->left);
        return false;
    }
    char *text = malloc(length + 1);
    if (!text)
        return fail(source, "out of memory");
    bool done = read_bytes(source, text, length) &&
                npy_parse(text, length, &source->header, source->problem, sizeof source->problem);
    free(text);
    return done;
}

/* Whether the bytes that are left are those of the shape. */
static bool check_length(struct source *source)
{
    const struct npy_header *header = &source->header;
    int64_t bytes = (int64_t)dtype_sizes[header->dtype];
    bool empty = false, overflow = false;
    for (int d = 0; d < header->dim; d++) {
        empty |= header->size[d] == 0;
        overflow |= __builtin_mul_overflow(bytes, header->size[d] ? header->size[d] : 1, &bytes);
    }
    const char *shape = shape_text(header->dim, header->size);
    if (overflow)
        snprintf(source->problem, sizeof source->problem, "no tensor can have its shape, %.150s",
                 shape);
    else if ((empty ? 0 : bytes) != source->left)
        snprintf(source->problem, sizeof source->problem,
                 "%lld bytes of data follow its header; %s of %.150s takes %lld",
                 (long long)source->left, dtype_names[header->dtype], shape,
                 (long long)(empty ? 0 : bytes));
    else
        return true;
    return false;
}

static void swap_bytes(const struct tensor *tensor)
{
    uint64_t *wide = tensor_data(tensor);
    uint32_t *narrow = tensor_data(tensor);
    for (int64_t i = 0; i < tensor->count; i++) {
        if (dtype_sizes[tensor->dtype] == 8)
            wide[i] = __builtin_bswap64(wide[i]);
        else
            narrow[i] = __builtin_bswap32(narrow[i]);
    }
}

/* A bool is 0 or 1 wherever it is read; a file may have other bytes. */
static void normalize_bools(const struct tensor *tensor)
{
    uint8_t *at = tensor_data(tensor);
    for (int64_t i = 0; i < tensor->count; i++)
        at[i] = at[i] != 0;
}

static bool read_data(struct source *source, const struct tensor *tensor)
{
    size_t bytes = (size_t)tensor->count * dtype_sizes[tensor->dtype];
    if (!read_bytes(source, tensor_data(tensor), bytes))
        return false;
    if (source->header.swapped)
        swap_bytes(tensor);
    if (tensor->dtype == DTYPE_BOOL)
        normalize_bools(tensor);
    return true;
}

/* In Fortran order the first dimension has the smallest stride. */
static void push_reversed(lua_State *L, const struct tensor *tensor)
{
    int64_t size[TENSOR_MAX_DIM], stride[TENSOR_MAX_DIM];
    for (int d = 0; d < tensor->dim; d++) {
        size[d] = tensor->size[tensor->dim - 1 - d];
        stride[d] = tensor->stride[tensor->dim - 1 - d];
    }
    tensor_view(L, tensor->storage, tensor->dtype, 0, tensor->dim, size, stride);
}

/* Pushes the tensor; may raise, with the file still open, for lack of memory. */
static bool read_tensor(lua_State *L, struct source *source)
{
    struct npy_header *header = &source->header;
    int64_t size[TENSOR_MAX_DIM];
    for (int d = 0; d < header->dim; d++)
        size[d] = header->size[header->fortran ? header->dim - 1 - d : d];
    const struct tensor *tensor = tensor_new(L, header->dtype, header->dim, size, false);
    if (!read_data(source, tensor))
        return false;
    if (header->fortran)
        push_reversed(L, tensor);
    return true;
}

static int close_source(lua_State *L)
{
    struct source *source = lua_touserdata(L, 1);
    if (source->fd >= 0)
        close(source->fd);
    source->fd = -1;
    return 0;
}

/* A source on the Lua stack that is closed when the function ends, however it ends. */
static struct source *push_source(lua_State *L)
{
    struct source *source = lua_newuserdatauv(L, sizeof *source, 0);
    source->fd = -1;
    source->problem[0] = '\0';
    lua_createtable(L, 0, 2);
    lua_pushcfunction(L, close_source);
    lua_setfield(L, -2, "__close");
    lua_pushcfunction(L, close_source);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    lua_toclose(L, -1);
    return source;
}

static const char *path_argument(lua_State *L, int index, const char *where)
{
    size_t length;
    if (lua_type(L, index) != LUA_TSTRING)
        raise_error(L, where, "the path is %s; a string is expected", type_text(L, index));
    const char *path = lua_tolstring(L, index, &length);
    if (strlen(path) != length)
        raise_error(L, where, "the path has a NUL byte in it");
    return path;
}

static int load(lua_State *L)
{
    const char *path = path_argument(L, 1, "lk.load");
    struct source *source = push_source(L);
    if (open_source(source, path) && read_header(source) && check_length(source) &&
        read_tensor(L, source))
        return 1;
    return raise_error(L, "lk.load", "%s: %s", path, source->problem);
}

/* ---- Writing ---- */

/* Whether the elements lie in order with the first index running fastest. */
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

/* Elements that are not in order go through this many bytes at a time. */
#define CHUNK 65536

static bool write_strided(struct atomic_file *file, const struct tensor *tensor)
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
            if (used == most && !atomic_file_write(file, chunk, (size_t)(used * element)))
                return false;
            used = used == most ? 0 : used;
        }
    }
    return atomic_file_write(file, chunk, (size_t)(used * element));
}

static bool write_tensor(struct atomic_file *file, const struct tensor *tensor)
{
    bool contiguous = tensor_is_contiguous(tensor);
    struct npy_header header = {.dtype = tensor->dtype, .dim = tensor->dim};
    header.fortran = !contiguous && is_fortran(tensor);
    for (int d = 0; d < tensor->dim; d++)
        header.size[d] = tensor->size[d];
    char text[NPY_HEADER_MOST];
    size_t length = npy_format(&header, text);
    if (!atomic_file_write(file, text, length))
        return false;
    if (contiguous || header.fortran)
        return atomic_file_write(file, tensor_data(tensor),
                                 (size_t)tensor->count * dtype_sizes[tensor->dtype]);
    return write_strided(file, tensor);
}

static int save(lua_State *L)
{
    const char *path = path_argument(L, 1, "lk.save");
    const struct tensor *tensor = tensor_argument(L, 2, "lk.save");
    struct atomic_file file;
    bool done = atomic_file_open(&file, path) && write_tensor(&file, tensor);
    done = done && atomic_file_commit(&file);
    if (!done) {
        atomic_file_abandon(&file);
        raise_error(L, "lk.save", "%s: %s", path, file.problem);
    }
    return 0;
}

static const luaL_Reg functions[] = {{"load", load}, {"save", save}, {NULL, NULL}};

int luaopen_lkrun_core_npy(lua_State *L);
int luaopen_lkrun_core_npy(lua_State *L)
{
    luaL_newlib(L, functions);
    return 1;
}
