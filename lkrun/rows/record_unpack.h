/* Reading a compressed file, which is unpacked on the way. */
#ifndef LKRUN_RECORD_UNPACK_H
#define LKRUN_RECORD_UNPACK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct record_reader;

/* Whether the file is compressed, by its name: .gz .zst .bz2 .xz .lz4 */
bool record_is_packed(const char *path);
/* Begins to unpack the file, which is open; record_unpack reads it from now on. False with
 * `problem`. */
bool record_unpack_open(struct record_reader *reader);
/* Like read(2); -1 with `problem`. */
ssize_t record_unpack(struct record_reader *reader, void *bytes, size_t room);
void record_unpack_close(struct record_reader *reader);

#endif
