/* The bytes under tensors: memory with a count of references, and who may write to it. */
#ifndef LKRUN_STORAGE_H
#define LKRUN_STORAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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
size_t storage_live_bytes(void); /* of all storages of this process, mapped files not counted */

#endif
