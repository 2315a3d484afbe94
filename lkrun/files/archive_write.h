/* An archive that is written: a zip, or a tar, perhaps compressed. The same entries give the same
 * bytes. It replaces an older file of its name in one step, when it is complete. */
#ifndef LKRUN_ARCHIVE_WRITE_H
#define LKRUN_ARCHIVE_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <lua.h>

#include "files/archive_library.h"
#include "base/atomic_file.h"
#include "base/sink.h"
#include "tensor/tensor.h"

struct archive_writer {
    /* Takes the data of the current entry. It is the first member, so that a pointer to it can be
     * cast to one to the writer. */
    struct sink entry;
    struct atomic_file file;
    const struct archive_library *library;
    struct archive *handle;
    bool is_zip;
    int64_t written;       /* bytes of the archive so far */
    int64_t header_length; /* of an entry in a zip, without its name; 0: not known yet */
    char problem[512];     /* why the last call returned false */
};

/* Pushes a writer. When the function that called this ends, the file is abandoned unless it was
 * committed. */
struct archive_writer *archive_writer_push(lua_State *L);
/* `filter`: "zip", or the compression of a tar by libarchive's name, "none" for none. `compress`: a
 * zip is deflated. */
bool archive_writer_open(struct archive_writer *writer, const char *path, const char *filter,
                         bool compress);
bool archive_writer_add(struct archive_writer *writer, const char *name, const void *bytes,
                        size_t length);
/* Adds the tensor as a .npy file of this name. In a zip that is not compressed its data are
 * aligned. */
bool archive_writer_add_tensor(struct archive_writer *writer, const char *name,
                               const struct tensor *tensor);
bool archive_writer_commit(struct archive_writer *writer);

#endif
