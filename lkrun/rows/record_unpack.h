/* The bytes of a compressed file, unpacked as they are read. */
#ifndef LKRUN_RECORD_UNPACK_H
#define LKRUN_RECORD_UNPACK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct record_reader;

/* Whether the name says that it is compressed: .gz .zst .bz2 .xz .lz4 */
bool record_is_packed(const char *path);
/* The file is open; from now on record_unpack reads it. False with `problem`. */
bool record_unpack_open(struct record_reader *reader);
/* As read(2); -1 with `problem`. */
ssize_t record_unpack(struct record_reader *reader, void *bytes, size_t room);
void record_unpack_close(struct record_reader *reader);

#endif
