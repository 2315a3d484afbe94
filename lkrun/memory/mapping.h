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
/* Opens the file once more, for another process to map: -1 where its name leads elsewhere by now.
 */
int mapping_reopen(const struct mapping *mapping);
/* Read-only storage of a part of the mapping, which stays as long as the storage; one reference for
 * the caller. NULL: out of memory. */
struct storage *mapping_storage(struct mapping *mapping, const void *data, size_t bytes);
/* Whose part this storage is; NULL: no mapping's. */
struct mapping *mapping_of(const struct storage *storage);

/* What a file does not have any more, cut off by somebody or on a disk that fails, raises SIGBUS
 * where it is read. Once this was called it reads as zeros, and is a loss. The executable calls it,
 * and every worker; in another host the signal ends the process. */
void mapping_catch_losses(void);
void mapping_enter_worker(void); /* in a new worker process; catches losses too */
#define MAPPING_PROBLEM_SIZE 512
unsigned mapping_losses(void); /* so far, in this process */
/* Says what was lost last, in a message; from here on, reading it is a loss again. */
void mapping_describe_loss(char problem[MAPPING_PROBLEM_SIZE]);

#endif
