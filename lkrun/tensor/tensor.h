/* Dense tensors: a shape and strides over reference-counted storage. */
#ifndef LKRUN_TENSOR_H
#define LKRUN_TENSOR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <lua.h>

enum dtype { DTYPE_F64, DTYPE_F32, DTYPE_I64, DTYPE_I32, DTYPE_U8, DTYPE_BOOL, DTYPE_COUNT };

extern const char
    *const dtype_names[DTYPE_COUNT + 1];      /* "f64" …, NULL at the end: for luaL_checkoption */
extern const size_t dtype_sizes[DTYPE_COUNT]; /* bytes an element */

#define TENSOR_MAX_DIM 16
#define TENSOR_CLASS   "lkrun.tensor"

/* The bytes under one or more tensors. Made by the functions below, freed when the last
 * reference goes, by whichever thread that is. */
struct storage {
    void *data;
    size_t bytes;
    atomic_uint references;
    uint32_t born;        /* write_epoch when it was made: see storage_may_write */
    bool read_only;       /* loaded from a file, so perhaps the file itself, mapped */
    bool is_file;         /* its memory is the file's */
    bool shared_writable; /* named in `writable`: workers may write it too */
    /* What frees `data`; NULL: nothing does. Called once, before the struct itself is freed. */
    void (*release)(struct storage *storage);
    void *owner;     /* for release: a mapping, a channel */
    uint64_t handle; /* for release */
};

/* Who may write. A worker (or a task run in place) raises its epoch when it starts, so that all
 * it inherited is older than the epoch and thereby read-only, and all it makes is its own. */
extern _Thread_local uint32_t write_epoch;
bool storage_may_write(const struct storage *storage);

/* New storage: a segment of the region above REGION_THRESHOLD bytes, else heap memory aligned to
 * 64. NULL with *error set when there is no room. The caller holds the one reference. */
struct storage *storage_new(size_t bytes, bool zeroed, const char **error);
/* Storage over memory that somebody else has; `release` gets it back. NULL: out of memory. */
struct storage *storage_wrap(void *data, size_t bytes, void (*release)(struct storage *),
                             void *owner, uint64_t handle);
/* The same for the memory of a mapped file, which nobody may write. */
struct storage *storage_wrap_file(void *data, size_t bytes, void (*release)(struct storage *),
                                  void *owner);
/* Before a fork: workers may write it, and both sides see the writes; what lies elsewhere moves
 * into the region. False with *error set. */
bool storage_share(struct storage *storage, const char **error);
/* Before threads start: they may write it. False with *error set. */
bool storage_allow(struct storage *storage, const char **error);
void storage_retain(struct storage *storage);
void storage_release(struct storage *storage);

/* A view. The userdata of class TENSOR_CLASS holds exactly this, with room for both arrays. */
struct tensor {
    struct storage *storage;
    enum dtype dtype;
    int dim;         /* 0: a scalar */
    int64_t offset;  /* of the first element, in elements from storage->data */
    int64_t count;   /* elements: the product of the sizes */
    int64_t *size;   /* [dim] */
    int64_t *stride; /* [dim], in elements; may be 0 or negative */
    int64_t room[];  /* size and stride point here */
};

/* At this stack index; _check raises a type error, _test gives NULL. */
struct tensor *tensor_check(lua_State *L, int index);
struct tensor *tensor_test(lua_State *L, int index);

/* Pushes a new contiguous (row-major) tensor and returns it; raises when the shape overflows or
 * there is no room. `size` [dim]. */
struct tensor *tensor_new(lua_State *L, enum dtype dtype, int dim, const int64_t *size,
                          bool zeroed);
/* Pushes a view over storage that is already there, retaining it. `stride` NULL: contiguous. */
struct tensor *tensor_view(lua_State *L, struct storage *storage, enum dtype dtype, int64_t offset,
                           int dim, const int64_t *size, const int64_t *stride);
/* Storage of so many bytes was made, or came from elsewhere, for a new tensor: garbage is collected
 * in proportion. */
void tensor_press_collector(lua_State *L, size_t bytes);

bool tensor_is_contiguous(const struct tensor *tensor);
/* Its elements in row-major order into `bytes` (count × element size). */
void tensor_copy_to(const struct tensor *tensor, void *bytes);
static inline void *tensor_data(const struct tensor *tensor)
{
    return (char *)tensor->storage->data + tensor->offset * (int64_t)dtype_sizes[tensor->dtype];
}
/* Raises unless the current task or program may write it. `where`: the public function's name. */
void tensor_check_writable(lua_State *L, const struct tensor *tensor, const char *where);

#endif
