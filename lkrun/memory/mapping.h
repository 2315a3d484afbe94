/* Files in memory: mapped read-only from the page cache, where all processes that map one share one
 * copy. A mapping lives while it is referred to. */
#ifndef LKRUN_MAPPING_H
#define LKRUN_MAPPING_H

#include <stdbool.h>
#include <stddef.h>
#include <lua.h>

#include "memory/storage.h"

struct mapping;

/* The first `bytes` bytes of an open file; `path` is its name in messages. One reference for the
 * caller. NULL where the file can't be mapped: it can still be read then. */
struct mapping *mapping_open(int descriptor, size_t bytes, const char *path);
void mapping_release(struct mapping *mapping);
const char *mapping_bytes(const struct mapping *mapping);
size_t mapping_size(const struct mapping *mapping);
const char *mapping_path(const struct mapping *mapping); /* as it was given */
/* Opens the file once more, for another process to map. -1 where its name no longer leads to it. */
int mapping_reopen(const struct mapping *mapping);
/* Read-only storage of a part of the mapping, which stays as long as the storage; one reference for
 * the caller. NULL: out of memory. */
struct storage *mapping_storage(struct mapping *mapping, const void *data, size_t bytes);
/* The mapping that this storage is a part of; NULL: it is a part of none. */
struct mapping *mapping_of(const struct storage *storage);

/* Reading a part of a mapped file that the file no longer has (somebody cut it off, or its disk
 * fails) raises SIGBUS. Once this function was called, such a part reads as zeros instead, and
 * reading it counts as a loss: the handler of the signal calls `tell`, unless that is NULL. `tell`
 * must be async-signal-safe; where it passes the signal on to another thread, it is called again
 * there. The executable calls this; in another host the signal ends the process. */
void mapping_catch_losses(void (*tell)(int signal_number));
/* In a new worker process: catches losses, and tells nobody. */
void mapping_enter_worker(void);
unsigned mapping_losses(void); /* so far, in this process */
#define MAPPING_PROBLEM_SIZE 512
/* Writes a message on the last loss; from here on, reading that part is a loss again. */
void mapping_describe_loss(char problem[MAPPING_PROBLEM_SIZE]);

#endif
