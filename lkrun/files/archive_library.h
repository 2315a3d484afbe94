/* libarchive, loaded on first use. */
#ifndef LKRUN_ARCHIVE_LIBRARY_H
#define LKRUN_ARCHIVE_LIBRARY_H

#include <archive.h>
#include <archive_entry.h>
#include <locale.h>

/* The functions that are called, by their names without `archive_`. Among the filters are only
 * those that the library itself implements, and none that starts a program. */
#define FOR_ARCHIVE_FUNCTIONS(X)                                                                   \
    X(read_new)                                                                                    \
    X(read_free)                                                                                   \
    X(read_support_format_tar)                                                                     \
    X(read_support_format_raw)                                                                     \
    X(read_support_format_empty)                                                                   \
    X(read_support_format_zip_seekable)                                                            \
    X(read_support_filter_gzip)                                                                    \
    X(read_support_filter_bzip2)                                                                   \
    X(read_support_filter_xz)                                                                      \
    X(read_support_filter_lzma)                                                                    \
    X(read_support_filter_lzip)                                                                    \
    X(read_support_filter_zstd)                                                                    \
    X(read_support_filter_lz4)                                                                     \
    X(read_support_filter_compress)                                                                \
    X(read_set_options)                                                                            \
    X(read_open_memory)                                                                            \
    X(read_open_fd)                                                                                \
    X(read_next_header)                                                                            \
    X(read_data)                                                                                   \
    X(read_data_block)                                                                             \
    X(format)                                                                                      \
    X(filter_count)                                                                                \
    X(error_string)                                                                                \
    X(write_new)                                                                                   \
    X(write_free)                                                                                  \
    X(write_set_format_zip)                                                                        \
    X(write_set_format_pax_restricted)                                                             \
    X(write_add_filter_by_name)                                                                    \
    X(write_set_options)                                                                           \
    X(write_set_bytes_per_block)                                                                   \
    X(write_set_bytes_in_last_block)                                                               \
    X(write_open)                                                                                  \
    X(write_header)                                                                                \
    X(write_data)                                                                                  \
    X(write_finish_entry)                                                                          \
    X(write_close)                                                                                 \
    X(entry_new)                                                                                   \
    X(entry_free)                                                                                  \
    X(entry_set_pathname_utf8)                                                                     \
    X(entry_set_size)                                                                              \
    X(entry_set_filetype)                                                                          \
    X(entry_set_perm)                                                                              \
    X(entry_pathname)                                                                              \
    X(entry_pathname_utf8)                                                                         \
    X(entry_size)                                                                                  \
    X(entry_size_is_set)                                                                           \
    X(entry_filetype)                                                                              \
    X(entry_hardlink)                                                                              \
    X(entry_is_encrypted)

#define ARCHIVE_FUNCTION(name) __typeof__(archive_##name) *name;
struct archive_library {
    FOR_ARCHIVE_FUNCTIONS(ARCHIVE_FUNCTION)
};
#undef ARCHIVE_FUNCTION

/* The functions; NULL, with *problem set, where the library can't be used. */
const struct archive_library *archive_library(const char **problem);

/* Between these two calls, libarchive takes the names of entries for UTF-8, whatever the program's
 * locale. */
locale_t archive_enter_utf8(void);
void archive_leave_utf8(locale_t before);

#endif
