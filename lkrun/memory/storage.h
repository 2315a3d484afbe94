/* The bytes under tensors: memory with a count of references, and who may write to it. */
#ifndef LKRUN_STORAGE_H
#define LKRUN_STORAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The bytes under one or more tensors. Made by the functions below, and freed by the thread that
 * gives up the last reference. */
struct storage {
    void *data;
    size_t bytes;
    atomic_uint references;
    uint32_t born;        /* write_epoch when it was made: see storage_may_write */
    bool read_only;       /* loaded from a file; its memory may be the mapped file itself */
    bool is_file;         /* its memory is a mapped file, which does not count as live bytes */
    bool shared_writable; /* named in `writable`: workers may write it too */
    /* What frees `data`; NULL: nothing does. Called once, before the struct itself is freed. */
    void (*release)(struct storage *storage);
    /* What `release` gives the memory back to, such as a mapping or a worker's site. */
    void *owner;
    uint64_t handle; /* what names the memory to the owner, for `release` */
};

/* Decides who may write. A worker (or a task run in place) raises its epoch when it starts, so
 * that all storages it inherited are older than the epoch and thereby read-only, while it may
 * write to all that it makes itself. */
extern _Thread_local uint32_t write_epoch;
bool storage_may_write(const struct storage *storage);

/* New storage: more than REGION_THRESHOLD bytes are a segment of the region, fewer are heap memory
 * aligned to 64 bytes. `zeroed`: the bytes are 0; otherwise they are anything. NULL with *error set
 * when there is no room. The caller holds the one reference. */
struct storage *storage_new(size_t bytes, bool zeroed, const char **error);
/* Storage over memory of another owner, to whom `release` returns it. NULL: out of memory. */
struct storage *storage_wrap(void *data, size_t bytes, void (*release)(struct storage *),
                             void *owner, uint64_t handle);
/* The same for the memory of a mapped file, which nobody may write. */
struct storage *storage_wrap_file(void *data, size_t bytes, void (*release)(struct storage *),
                                  void *owner);
/* Before a fork: allows workers to write it. The data moves into the region unless it is there
 * already, so that all processes see the writes. On failure false, with *error set. */
bool storage_share(struct storage *storage, const char **error);
/* Before threads start: allows them to write it. On failure false, with *error set. */
bool storage_allow(struct storage *storage, const char **error);
void storage_retain(struct storage *storage);
void storage_release(struct storage *storage);
/* Bytes of all storages of this process, not counting mapped files. */
size_t storage_live_bytes(void);

#endif
