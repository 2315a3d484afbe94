/* Invariant: a storage lives while its count of references is above zero; whoever takes the count
 * to zero frees it, data first. `born` never changes, so a storage becomes read-only for a thread
 * only when the thread raises its epoch. */
#include "memory/storage.h"

#include <stdlib.h>
#include <string.h>

#include "memory/region.h"

#define ALIGNMENT 64

_Thread_local uint32_t write_epoch;

static atomic_size_t live_bytes;

size_t storage_live_bytes(void)
{
    return atomic_load_explicit(&live_bytes, memory_order_relaxed);
}

bool storage_may_write(const struct storage *storage)
{
    if (storage->read_only)
        return false;
    return storage->born >= write_epoch || storage->shared_writable;
}

static void init(struct storage *storage, void *data, size_t bytes)
{
    *storage = (struct storage){.data = data, .bytes = bytes, .born = write_epoch};
    atomic_init(&storage->references, 1);
    atomic_fetch_add_explicit(&live_bytes, bytes, memory_order_relaxed);
}

static void free_segment(struct storage *storage)
{
    region_free(storage->data);
}

static struct storage *new_in_region(size_t bytes, bool zeroed, const char **error)
{
    struct storage *storage = malloc(sizeof *storage);
    if (!storage) {
        *error = "out of memory";
        return NULL;
    }
    void *segment = region_alloc(bytes, zeroed, error);
    if (!segment) {
        free(storage);
        return NULL;
    }
    init(storage, segment, bytes);
    storage->release = free_segment;
    return storage;
}

/* The struct and its data are one block, because small tensors are made by the million. */
static struct storage *new_in_heap(size_t bytes, bool zeroed, const char **error)
{
    size_t head = (sizeof(struct storage) + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    size_t body = (bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    struct storage *storage = aligned_alloc(ALIGNMENT, head + body);
    if (!storage) {
        *error = "out of memory";
        return NULL;
    }
    init(storage, (char *)storage + head, bytes);
    if (zeroed)
        memset(storage->data, 0, bytes);
    return storage;
}

struct storage *storage_new(size_t bytes, bool zeroed, const char **error)
{
    return bytes > REGION_THRESHOLD ? new_in_region(bytes, zeroed, error)
                                    : new_in_heap(bytes, zeroed, error);
}

struct storage *storage_wrap(void *data, size_t bytes, void (*release)(struct storage *),
                             void *owner, uint64_t handle)
{
    struct storage *storage = malloc(sizeof *storage);
    if (!storage)
        return NULL;
    init(storage, data, bytes);
    storage->release = release;
    storage->owner = owner;
    storage->handle = handle;
    return storage;
}

struct storage *storage_wrap_file(void *data, size_t bytes, void (*release)(struct storage *),
                                  void *owner)
{
    struct storage *storage = storage_wrap(data, bytes, release, owner, 0);
    if (!storage)
        return NULL;
    storage->read_only = storage->is_file = true;
    atomic_fetch_sub_explicit(&live_bytes, bytes, memory_order_relaxed);
    return storage;
}

bool storage_allow(struct storage *storage, const char **error)
{
    if (!storage_may_write(storage)) {
        *error = "it is read-only here; pass its clone()";
        return false;
    }
    storage->shared_writable = true;
    return true;
}

bool storage_share(struct storage *storage, const char **error)
{
    if (!storage_may_write(storage))
        return storage_allow(storage, error);
    if (!region_owns(storage->data)) {
        void *segment = region_alloc(storage->bytes, false, error);
        if (!segment)
            return false;
        if (storage->bytes)
            memcpy(segment, storage->data, storage->bytes);
        if (storage->release)
            storage->release(storage);
        storage->data = segment;
        storage->release = free_segment;
    }
    storage->shared_writable = true;
    return true;
}

void storage_retain(struct storage *storage)
{
    atomic_fetch_add_explicit(&storage->references, 1, memory_order_relaxed);
}

void storage_release(struct storage *storage)
{
    /* Release order publishes what this thread wrote; acquire order makes the writes of all other
     * threads visible before the memory is freed. */
    if (atomic_fetch_sub_explicit(&storage->references, 1, memory_order_acq_rel) != 1)
        return;
    if (!storage->is_file)
        atomic_fetch_sub_explicit(&live_bytes, storage->bytes, memory_order_relaxed);
    if (storage->release)
        storage->release(storage);
    free(storage);
}
