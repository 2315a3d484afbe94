/* Invariants: no entry is given out before its name, its kind and its size were found harmless; the
 * sizes of all entries so far add up to no more than `size_limit`, so that a small file cannot
 * become a large model.
 *
 * Of a zip or tar that is not compressed, and is mapped, libarchive gives the bytes of an entry
 * where they lie in the mapping, and there tensors can stay. Verifying the check sum of a zip's
 * entry would read all its bytes, so it is left out in that case (`in_place`), and done for all
 * that is copied. */
#include "files/archive_read.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <lauxlib.h>

#include "memory/mapping.h"
#include "memory/storage.h"

/* How many bytes all entries together may have, where the caller gives no limit: GROWTH times the
 * size of the file, as arrays in use hardly compress to a hundredth; and GROWTH_FREE in any case,
 * as zeros compress to a thousandth or less. */
#define GROWTH      100
#define GROWTH_FREE ((int64_t)256 << 20)

static bool fail_library(struct archive_reader *reader, struct source *source)
{
    const char *why = reader->library->error_string(reader->handle);
    return source_fail(source, "%.300s", why ? why : "out of memory");
}

/* Fails because there is no entry where the next one should begin. The cause may be that the entry
 * before claims too many bytes, so the message names that one. */
static bool fail_after(struct archive_reader *reader)
{
    const char *why = reader->library->error_string(reader->handle);
    if (!why || reader->library->format(reader->handle) == 0) /* it is no archive */
        return fail_library(reader, &reader->file);
    if (!reader->name[0])
        return source_fail(&reader->file, "its first entry: %.300s", why);
    return source_fail(&reader->file, "after entry '%.200s': %.300s", reader->name, why);
}

static bool read_entry(struct source *source, void *bytes, size_t length)
{
    struct archive_reader *reader = (struct archive_reader *)source->container;
    char *at = bytes;
    while (length > 0) {
        la_ssize_t done = reader->library->read_data(reader->handle, at, length);
        if (done < 0)
            return fail_library(reader, source);
        if (done == 0)
            return source_fail(source, "it ends before its data do; it was cut off");
        at += done;
        length -= (size_t)done;
    }
    return true;
}

/* ---- What an entry may be ---- */

/* Whether the name leads nowhere out of the folder that it would be extracted to. */
static bool is_harmless(const char *name)
{
    if (name[0] == '/' || name[0] == '\\' || name[0] == '\0')
        return false;
    while (*name) {
        size_t length = strcspn(name, "/\\");
        if (length == 2 && name[0] == '.' && name[1] == '.')
            return false;
        name += length + (name[length] != '\0');
    }
    return true;
}

static bool take_name(struct archive_reader *reader, struct archive_entry *entry)
{
    const char *name = reader->library->entry_pathname_utf8(entry);
    if (!name)
        name = reader->library->entry_pathname(entry);
    if (!name)
        return source_fail(&reader->file, "an entry has a name that is not text");
    while (name[0] == '.' && name[1] == '/')
        name += 2;
    if (strlen(name) >= sizeof reader->name)
        return source_fail(&reader->file, "entry '%.40s...': its name is too long", name);
    strcpy(reader->name, name);
    return is_harmless(name) ||
           source_fail(&reader->file, "entry '%.200s': its name leads out of the archive", name);
}

static bool check_kind(struct archive_reader *reader, struct archive_entry *entry)
{
    const struct archive_library *library = reader->library;
    const char *what = NULL;
    if (library->entry_hardlink(entry) || library->entry_filetype(entry) == AE_IFLNK)
        what = "it is a link; expected arrays";
    else if (library->entry_filetype(entry) != AE_IFREG)
        what = "it is not a regular file; expected arrays";
    else if (library->entry_is_encrypted(entry))
        what = "it is encrypted";
    else if (!library->entry_size_is_set(entry) || library->entry_size(entry) < 0)
        what = "it does not say how many bytes it has";
    return !what || source_fail(&reader->file, "entry '%.200s': %s", reader->name, what);
}

static bool check_size(struct archive_reader *reader, int64_t size)
{
    if (!__builtin_add_overflow(reader->declared_bytes, size, &reader->declared_bytes) &&
        reader->declared_bytes <= reader->size_limit)
        return true;
    return source_fail(&reader->file,
                       "entry '%.200s': with its %lld bytes the archive would become more than "
                       "%lld, which its size does not justify; size_limit = bytes allows more",
                       reader->name, (long long)size, (long long)reader->size_limit);
}

/* How many entries a zip has by the record at its end; -1: it does not say. The number 65,535 there
 * means that the true one is elsewhere (zip64). */
static int64_t entries_claimed(const struct archive_reader *reader)
{
    enum { RECORD = 22, MOST = RECORD + UINT16_MAX, UNTOLD = UINT16_MAX };
    unsigned char tail[MOST];
    int64_t size = lseek(reader->file.descriptor, 0, SEEK_END);
    int64_t first = size > MOST ? size - MOST : 0;
    ssize_t length = size < RECORD ? 0 : pread(reader->file.descriptor, tail, sizeof tail, first);
    for (ssize_t at = length - RECORD; at >= 0; at--) {
        const unsigned char *record = tail + at;
        int comment = record[20] | record[21] << 8, entries = record[10] | record[11] << 8;
        if (memcmp(record, "PK\5\6", 4) == 0 && at + RECORD + comment == length)
            return entries == UNTOLD ? -1 : entries;
    }
    return -1;
}

/* After the last entry: whether a zip has as many as it says. libarchive skips an entry that begins
 * where another one does. */
static bool check_count(struct archive_reader *reader)
{
    if ((reader->library->format(reader->handle) & ARCHIVE_FORMAT_BASE_MASK) != ARCHIVE_FORMAT_ZIP)
        return true;
    int64_t claimed = entries_claimed(reader);
    return claimed < 0 || claimed == reader->entries_seen ||
           source_fail(&reader->file,
                       "%lld entries are at places of their own; expected %lld, as it says",
                       (long long)reader->entries_seen, (long long)claimed);
}

/* ---- From entry to entry ---- */

/* Whether the file is a zip without entries: nothing but the end of an empty central directory. */
static bool is_void_zip(struct archive_reader *reader)
{
    char start[12];
    return pread(reader->file.descriptor, start, sizeof start, 0) == (ssize_t)sizeof start &&
           memcmp(start, "PK\5\6\0\0\0\0\0\0\0\0", sizeof start) == 0;
}

bool archive_reader_open(struct archive_reader *reader, const char *path, bool copy,
                         int64_t size_limit)
{
    const char *problem;
    reader->library = archive_library(&problem);
    if (!reader->library)
        return source_fail(&reader->file, "%s", problem);
    if (!source_open(&reader->file, path))
        return false;
    if (reader->file.bytes_left == 0)
        return source_fail(&reader->file, "it is empty");
    reader->is_void = is_void_zip(reader);
    if (!copy)
        source_map(&reader->file, path);
    int64_t justified =
        reader->file.bytes_left > INT64_MAX / GROWTH ? INT64_MAX : reader->file.bytes_left * GROWTH;
    reader->size_limit = justified > GROWTH_FREE ? justified : GROWTH_FREE;
    if (size_limit)
        reader->size_limit = size_limit;
    return true;
}

static bool support_formats(const struct archive_library *library, struct archive *handle)
{
    return library->read_support_format_tar(handle) >= ARCHIVE_WARN &&
           library->read_support_format_zip_seekable(handle) >= ARCHIVE_WARN &&
           library->read_support_filter_gzip(handle) == ARCHIVE_OK &&
           library->read_support_filter_bzip2(handle) == ARCHIVE_OK &&
           library->read_support_filter_xz(handle) == ARCHIVE_OK &&
           library->read_support_filter_lzma(handle) == ARCHIVE_OK &&
           library->read_support_filter_lzip(handle) == ARCHIVE_OK &&
           library->read_support_filter_zstd(handle) == ARCHIVE_OK &&
           library->read_support_filter_lz4(handle) == ARCHIVE_OK &&
           library->read_support_filter_compress(handle) == ARCHIVE_OK;
}

static void let_go(struct archive_reader *reader)
{
    if (reader->handle)
        reader->library->read_free(reader->handle);
    reader->handle = NULL;
}

bool archive_reader_begin(struct archive_reader *reader, bool in_place)
{
    const struct archive_library *library = reader->library;
    let_go(reader);
    reader->in_place = in_place;
    reader->declared_bytes = reader->entries_seen = 0;
    reader->name[0] = '\0';
    reader->handle = library->read_new();
    if (!reader->handle || !support_formats(library, reader->handle))
        return source_fail(&reader->file, "this libarchive lacks a format that is needed");
    if (reader->is_void || (in_place && !reader->file.mapping))
        return true;
    if (in_place)
        library->read_set_options(reader->handle, "zip:ignorecrc32");
    if (!reader->file.mapping && lseek(reader->file.descriptor, 0, SEEK_SET) < 0)
        return source_fail(&reader->file, "%s", strerror(errno));
    int status =
        reader->file.mapping
            ? library->read_open_memory(reader->handle, mapping_bytes(reader->file.mapping),
                                        (size_t)reader->file.bytes_left)
            : library->read_open_fd(reader->handle, reader->file.descriptor, 1 << 16);
    return status == ARCHIVE_OK || fail_library(reader, &reader->file);
}

/* Where the entry's bytes lie in the mapped file; NULL: they are compressed, or in pieces. */
static const char *find_in_place(struct archive_reader *reader, int64_t size)
{
    const void *block;
    size_t length;
    la_int64_t offset;
    if (reader->library->read_data_block(reader->handle, &block, &length, &offset) != ARCHIVE_OK)
        return NULL;
    const char *start = mapping_bytes(reader->file.mapping), *at = block;
    bool inside = at >= start && at + length <= start + reader->file.bytes_left;
    return inside && offset == 0 && length == (uint64_t)size ? block : NULL;
}

static int read_next(struct archive_reader *reader)
{
    const struct archive_library *library = reader->library;
    struct archive_entry *entry;
    if (reader->is_void || (reader->in_place && !reader->file.mapping))
        return 0;
    do {
        int status = library->read_next_header(reader->handle, &entry);
        if (status == ARCHIVE_EOF)
            return check_count(reader) ? 0 : -1;
        if (status != ARCHIVE_OK && status != ARCHIVE_WARN) {
            fail_after(reader);
            return -1;
        }
        reader->entries_seen++;
        if (reader->in_place && library->filter_count(reader->handle) > 1)
            return 0; /* the archive is compressed as a whole, so nothing lies there as it is */
        if (!take_name(reader, entry))
            return -1;
    } while (library->entry_filetype(entry) == AE_IFDIR && !library->entry_hardlink(entry));
    if (!check_kind(reader, entry) || !check_size(reader, library->entry_size(entry)))
        return -1;
    reader->entry = (struct source){.bytes_left = library->entry_size(entry),
                                    .descriptor = -1,
                                    .read = read_entry,
                                    .container = reader};
    reader->entry.most_justified = 2 * reader->entry.bytes_left; /* an f16 becomes an f32 */
    const char *place = reader->in_place ? find_in_place(reader, reader->entry.bytes_left) : NULL;
    if (place) {
        reader->entry = source_of_memory(place, (size_t)reader->entry.bytes_left);
        reader->entry.mapping = reader->file.mapping;
    }
    return 1;
}

int archive_reader_next(struct archive_reader *reader)
{
    locale_t before = archive_enter_utf8();
    int found = read_next(reader);
    archive_leave_utf8(before);
    return found;
}

bool archive_entry_end(struct archive_reader *reader)
{
    char more;
    if (reader->in_place)
        return true;
    la_ssize_t done = reader->library->read_data(reader->handle, &more, 1);
    if (done < 0)
        return fail_library(reader, &reader->entry);
    return done == 0 || source_fail(&reader->entry, "it has more bytes than it says");
}

static int close_reader(lua_State *L)
{
    struct archive_reader *reader = lua_touserdata(L, 1);
    let_go(reader);
    if (reader->entry.pending)
        storage_release(reader->entry.pending);
    reader->entry.pending = NULL;
    source_close(&reader->file);
    return 0;
}

struct archive_reader *archive_reader_push(lua_State *L)
{
    struct archive_reader *reader = lua_newuserdatauv(L, sizeof *reader, 0);
    memset(reader, 0, sizeof *reader);
    reader->file.descriptor = reader->entry.descriptor = -1;
    lua_createtable(L, 0, 2);
    lua_pushcfunction(L, close_reader);
    lua_setfield(L, -2, "__close");
    lua_pushcfunction(L, close_reader);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    lua_toclose(L, -1);
    return reader;
}
