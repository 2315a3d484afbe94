/* $XDG_STATE_HOME/lkrun/history has an entry on each line, the oldest first. A newline of an entry
 * stands there as "\n" and a backslash as "\\".
 *
 * Main invariant: whoever writes holds the lock of the file that is in place *now*. An entry is
 * added by one write at the end; a file that has grown too long is replaced as a whole, under the
 * same lock. So prompts that share the file lose no entry, and a reader without the lock sees whole
 * entries, except perhaps the last one. */
#include "program/history.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "program/report.h"
#include "base/util.h"

/* When the file is longer than this, only its newer half is kept. In bytes. */
#define LENGTH_MAX ((off_t)4 << 20)

/* Makes the folders that a path leads through. */
static bool make_folders(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        bool there = mkdir(path, 0700) == 0 || errno == EEXIST;
        *slash = '/';
        if (!there)
            return false;
    }
    return true;
}

/* Finds the path of the file. False where no variable says where it should be, or where the path is
 * too long. */
static bool find_path(char path[PATH_MAX])
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    int length;
    if (state && *state == '/')
        length = snprintf(path, PATH_MAX, "%s/lkrun/history", state);
    else if (home && *home == '/')
        length = snprintf(path, PATH_MAX, "%s/.local/state/lkrun/history", home);
    else
        return false;
    return length < PATH_MAX;
}

static bool read_whole(int file, struct buffer *text)
{
    char piece[1 << 16];
    ssize_t count;
    lseek(file, 0, SEEK_SET);
    while ((count = read(file, piece, sizeof piece)) > 0)
        if (!buffer_append(text, piece, (size_t)count))
            return false;
    return count == 0;
}

/* Turns the line [at, stop) into its entry, in place; a 0 ends it. */
static void unescape(char *at, const char *stop)
{
    char *to = at;
    for (; at < stop; at++) {
        if (*at == '\\' && at + 1 < stop) {
            at++;
            *to++ = *at == 'n' ? '\n' : *at;
        } else {
            *to++ = *at;
        }
    }
    *to = '\0';
}

void history_load(void (*each)(const char *entry))
{
    char path[PATH_MAX];
    struct buffer text = {0};
    int file = find_path(path) ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    if (read_whole(file, &text)) {
        for (char *at = text.data, *end = at + text.length, *stop; at < end; at = stop + 1) {
            stop = memchr(at, '\n', (size_t)(end - at));
            if (!stop)
                break; /* another prompt is writing this entry */
            unescape(at, stop);
            if (*at)
                each(at);
        }
    }
    buffer_free(&text);
    close(file);
}

/* Opens and locks the file that is in place; -1 with errno. */
static int open_locked(char *path)
{
    struct stat ours, there;
    for (;;) {
        int file = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (file < 0)
            return -1;
        if (flock(file, LOCK_EX) != 0 || fstat(file, &ours) != 0)
            goto fail;
        if (stat(path, &there) == 0 && there.st_ino == ours.st_ino && there.st_dev == ours.st_dev)
            return file;
        close(file); /* another prompt has replaced it meanwhile */
        continue;
    fail:
        close(file);
        return -1;
    }
}

/* Replaces the locked file by its newer half. Where that fails, the file goes on growing. */
static void shorten(int file, const char *path)
{
    struct buffer text = {0};
    struct atomic_file shorter;
    if (read_whole(file, &text) && atomic_file_open(&shorter, path)) {
        const char *end = text.data + text.length, *middle = text.data + text.length / 2;
        const char *newline = memchr(middle, '\n', (size_t)(end - middle));
        const char *kept = newline ? newline + 1 : end;
        atomic_file_finish(&shorter, atomic_file_write(&shorter, kept, (size_t)(end - kept)));
    }
    buffer_free(&text);
}

static bool append(char *path, const char *line, size_t length)
{
    struct stat status;
    int file = make_folders(path) ? open_locked(path) : -1;
    if (file < 0)
        return false;
    if (fstat(file, &status) != 0)
        status.st_size = 0;
    ssize_t written = write(file, line, length);
    bool whole = written == (ssize_t)length;
    if (!whole && written > 0) {
        /* Otherwise the next entry would be added to half of this one. */
        (void)!ftruncate(file, status.st_size);
        errno = ENOSPC;
    }
    if (status.st_size > LENGTH_MAX)
        shorten(file, path);
    close(file);
    return whole;
}

void history_append(const char *entry, size_t length)
{
    static bool told;
    char path[PATH_MAX];
    struct buffer line = {0};
    bool whole = true;
    for (size_t i = 0; i < length && whole; i++) {
        char escaped[2] = {'\\', entry[i] == '\n' ? 'n' : '\\'};
        bool special = entry[i] == '\n' || entry[i] == '\\';
        whole = special ? buffer_append(&line, escaped, 2) : buffer_append(&line, entry + i, 1);
    }
    if (whole && buffer_append(&line, "\n", 1) && find_path(path) &&
        !append(path, line.data, line.length) && !told) {
        told = true;
        report_line("%s: the history could not be written: %s; this prompt goes on without it",
                    path, strerror(errno));
    }
    buffer_free(&line);
}
