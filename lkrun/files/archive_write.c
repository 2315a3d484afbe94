/* Invariant: while the file is open, what `handle` writes goes into it; afterwards it goes nowhere.
 */
#include "files/archive_write.h"

#include <stdio.h>
#include <string.h>
#include <lauxlib.h>

#include "files/npy.h"

#define ALIGNMENT 64 /* of tensors in a zip that is not compressed */
/* A guess of the bytes of an entry's header in a zip, without the name, until a header was
 * measured (header_length); and how many more it has where the entry has more than 4 GiB. */
#define ZIP_HEADER 50
#define ZIP_LARGE  20

static bool fail(struct archive_writer *writer)
{
    const char *why = writer->file.problem[0] ? writer->file.problem : NULL;
    if (!why && writer->handle)
        why = writer->library->error_string(writer->handle);
    snprintf(writer->problem, sizeof writer->problem, "%s", why ? why : "out of memory");
    return false;
}

/* libarchive calls this with what it has ready. */
static la_ssize_t write_file(struct archive *handle, void *context, const void *bytes,
                             size_t length)
{
    struct archive_writer *writer = context;
    (void)handle;
    if (!atomic_file_write(&writer->file, bytes, length))
        return -1;
    writer->written += (int64_t)length;
    return (la_ssize_t)length;
}

static bool write_entry(struct sink *sink, const void *bytes, size_t length)
{
    struct archive_writer *writer = (struct archive_writer *)sink;
    const char *at = bytes;
    while (length > 0) {
        size_t some = length < 1u << 30 ? length : 1u << 30;
        la_ssize_t done = writer->library->write_data(writer->handle, at, some);
        if (done <= 0)
            return fail(writer);
        at += done;
        length -= (size_t)done;
    }
    return true;
}

static bool set_format(struct archive_writer *writer, const char *filter, bool compress)
{
    const struct archive_library *library = writer->library;
    writer->is_zip = strcmp(filter, "zip") == 0;
    const char *options =
        compress ? "compression=deflate,hdrcharset=UTF-8" : "compression=store,hdrcharset=UTF-8";
    if (writer->is_zip)
        return library->write_set_format_zip(writer->handle) == ARCHIVE_OK &&
               library->write_set_options(writer->handle, options) == ARCHIVE_OK;
    if (library->write_set_format_pax_restricted(writer->handle) != ARCHIVE_OK)
        return false;
    /* ARCHIVE_WARN would mean that an external program compresses. */
    if (strcmp(filter, "none") != 0 &&
        library->write_add_filter_by_name(writer->handle, filter) != ARCHIVE_OK)
        return false;
    return strcmp(filter, "gzip") != 0 ||
           library->write_set_options(writer->handle, "gzip:!timestamp") == ARCHIVE_OK;
}

static bool open_handle(struct archive_writer *writer, const char *filter, bool compress)
{
    const struct archive_library *library = writer->library;
    writer->handle = library->write_new();
    /* Nothing is padded to blocks, so that `written` says where the next byte goes. */
    return writer->handle && set_format(writer, filter, compress) &&
           library->write_set_bytes_per_block(writer->handle, 0) == ARCHIVE_OK &&
           library->write_set_bytes_in_last_block(writer->handle, 1) == ARCHIVE_OK &&
           library->write_open(writer->handle, writer, NULL, write_file, NULL) == ARCHIVE_OK;
}

bool archive_writer_open(struct archive_writer *writer, const char *path, const char *filter,
                         bool compress)
{
    const char *problem;
    writer->library = archive_library(&problem);
    if (!writer->library) {
        snprintf(writer->problem, sizeof writer->problem, "%s", problem);
        return false;
    }
    if (!atomic_file_open(&writer->file, path))
        return fail(writer);
    locale_t before = archive_enter_utf8();
    bool opened = open_handle(writer, filter, compress);
    archive_leave_utf8(before);
    return opened || fail(writer);
}

/* Nothing in the entry tells when, where or by whom it was made, so the same entries give the same
 * bytes. */
static bool begin_entry(struct archive_writer *writer, const char *name, int64_t bytes)
{
    const struct archive_library *library = writer->library;
    struct archive_entry *entry = library->entry_new();
    if (!entry)
        return fail(writer);
    locale_t before = archive_enter_utf8();
    library->entry_set_pathname_utf8(entry, name);
    library->entry_set_size(entry, bytes);
    library->entry_set_filetype(entry, AE_IFREG);
    library->entry_set_perm(entry, 0644);
    int64_t start = writer->written;
    bool done = library->write_header(writer->handle, entry) == ARCHIVE_OK;
    archive_leave_utf8(before);
    library->entry_free(entry);
    if (writer->is_zip && bytes <= UINT32_MAX)
        writer->header_length = writer->written - start - (int64_t)strlen(name);
    return done || fail(writer);
}

static bool end_entry(struct archive_writer *writer)
{
    return writer->library->write_finish_entry(writer->handle) == ARCHIVE_OK || fail(writer);
}

bool archive_writer_add(struct archive_writer *writer, const char *name, const void *bytes,
                        size_t length)
{
    return begin_entry(writer, name, (int64_t)length) &&
           writer->entry.write(&writer->entry, bytes, length) && end_entry(writer);
}

/* How many bytes more the header of the .npy file needs, so that the data behind it begin at a
 * multiple of ALIGNMENT in the archive. Where the guess is wrong, the data are copied when they are
 * loaded. */
static size_t padding_of(const struct archive_writer *writer, const char *name, int64_t bytes)
{
    if (!writer->is_zip)
        return 0;
    int64_t header = writer->header_length ? writer->header_length : ZIP_HEADER;
    int64_t start = writer->written + header + (int64_t)strlen(name);
    start += bytes > (int64_t)UINT32_MAX ? ZIP_LARGE : 0;
    return (size_t)(-start & (ALIGNMENT - 1));
}

bool archive_writer_add_tensor(struct archive_writer *writer, const char *name,
                               const struct tensor *tensor)
{
    int64_t bytes = npy_bytes(tensor);
    size_t padding = padding_of(writer, name, bytes);
    return begin_entry(writer, name, bytes + (int64_t)padding) &&
           npy_write(&writer->entry, tensor, padding) && end_entry(writer);
}

static void let_go(struct archive_writer *writer)
{
    if (writer->handle)
        writer->library->write_free(writer->handle);
    writer->handle = NULL;
}

bool archive_writer_commit(struct archive_writer *writer)
{
    if (writer->library->write_close(writer->handle) != ARCHIVE_OK)
        return fail(writer);
    let_go(writer);
    return atomic_file_commit(&writer->file) || fail(writer);
}

static int close_writer(lua_State *L)
{
    struct archive_writer *writer = lua_touserdata(L, 1);
    atomic_file_abandon(&writer->file);
    writer->file.fd = -1;
    let_go(writer);
    return 0;
}

struct archive_writer *archive_writer_push(lua_State *L)
{
    struct archive_writer *writer = lua_newuserdatauv(L, sizeof *writer, 0);
    writer->entry.write = write_entry;
    writer->library = NULL;
    writer->handle = NULL;
    writer->file.fd = -1;
    writer->file.problem[0] = writer->problem[0] = '\0';
    writer->written = writer->header_length = 0;
    lua_createtable(L, 0, 2);
    lua_pushcfunction(L, close_writer);
    lua_setfield(L, -2, "__close");
    lua_pushcfunction(L, close_writer);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    lua_toclose(L, -1);
    return writer;
}
