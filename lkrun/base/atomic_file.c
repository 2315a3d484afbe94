/* Invariant: while `fd` is 0 or more, the new file is in one of two states. Either `temporary` is
 * empty and the file has no name at all, so that a process that is killed leaves nothing behind; or
 * `temporary` is the file's name, under which this process itself created it, so that no file of
 * anybody else's is written or removed. */
#include "base/atomic_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/random.h"
#include "base/util.h"

static bool fail(struct atomic_file *file, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static bool fail(struct atomic_file *file, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(file->problem, sizeof file->problem, format, arguments);
    va_end(arguments);
    return false;
}

/* Puts the file that `path` leads to, through symbolic links, into `target`, and its permissions
 * into *mode; 0: there is no such file yet. */
static bool find_target(struct atomic_file *file, const char *path, mode_t *mode)
{
    struct stat status;
    *mode = 0;
    if (strlen(path) >= sizeof file->target)
        return fail(file, "%s", strerror(ENAMETOOLONG));
    strcpy(file->target, path);
    if (lstat(path, &status) == 0 && S_ISLNK(status.st_mode) && !realpath(path, file->target))
        return fail(file, "it is a link that leads nowhere: %s", strerror(errno));
    if (stat(file->target, &status) < 0)
        return errno == ENOENT || fail(file, "%s", strerror(errno));
    if (!S_ISREG(status.st_mode))
        return fail(file, "it is %s; expected a file",
                    S_ISDIR(status.st_mode) ? "a directory" : "not a regular file");
    *mode = status.st_mode & 0777;
    return true;
}

/* Makes up a name ".NAME.0123456789abcdef.tmp" in the folder of the target, because rename works
 * only within one file system. */
static bool name_temporary(struct atomic_file *file)
{
    const char *slash = strrchr(file->target, '/');
    const char *name = slash ? slash + 1 : file->target;
    int folder = (int)(name - file->target);
    int length = snprintf(file->temporary, sizeof file->temporary, "%.*s.%.200s.%016llx.tmp",
                          folder, file->target, name, (unsigned long long)random_system_seed());
    return length < (int)sizeof file->temporary || fail(file, "%s", strerror(ENAMETOOLONG));
}

/* The folder in which the last part of a path is. */
static void folder_of(const char *path, char folder[PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    int length = slash ? (int)(slash - path) + 1 : 1;
    snprintf(folder, PATH_MAX, "%.*s", length, slash ? path : ".");
}

/* Opens a new file that has no name. False where the file system does not support that, or where
 * /proc is missing, through which give_name gives the file its name. */
static bool open_nameless(struct atomic_file *file)
{
    char folder[PATH_MAX];
    folder_of(file->target, folder);
    file->temporary[0] = '\0';
    if (access("/proc/self/fd", X_OK) == 0)
        file->fd = open(folder, O_WRONLY | O_TMPFILE | O_CLOEXEC, 0666);
    return file->fd >= 0;
}

static bool open_named(struct atomic_file *file)
{
    do {
        if (!name_temporary(file))
            return false;
        file->fd =
            open(file->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
    } while (file->fd < 0 && errno == EEXIST);
    if (file->fd < 0 && errno == ENOENT)
        return fail(file, "its folder does not exist; make it first");
    return file->fd >= 0 || fail(file, "no file can be made beside it: %s", strerror(errno));
}

/* Gives the nameless file a name: only a file with a name can be renamed over another. */
static bool give_name(struct atomic_file *file)
{
    char self[40];
    snprintf(self, sizeof self, "/proc/self/fd/%d", file->fd);
    while (name_temporary(file)) {
        if (linkat(AT_FDCWD, self, AT_FDCWD, file->temporary, AT_SYMLINK_FOLLOW) == 0)
            return true;
        if (errno != EEXIST)
            break;
    }
    file->temporary[0] = '\0';
    return false;
}

static bool write_sink(struct sink *sink, const void *bytes, size_t length)
{
    return atomic_file_write((struct atomic_file *)sink, bytes, length);
}

bool atomic_file_open(struct atomic_file *file, const char *path)
{
    mode_t mode;
    file->sink.write = write_sink; /* the sink is the file's first member: one casts to the other */
    file->fd = -1;
    if (!find_target(file, path, &mode))
        return false;
    if (!open_nameless(file) && !open_named(file))
        return false;
    if (mode && fchmod(file->fd, mode) < 0) {
        fail(file, "its mode can't be kept: %s", strerror(errno));
        atomic_file_abandon(file);
        return false;
    }
    return true;
}

bool atomic_file_write(struct atomic_file *file, const void *bytes, size_t length)
{
    if (file_write_all(file->fd, bytes, length, FILE_WRITE_ON))
        return true;
    if (errno == EFAULT)
        return fail(file, "what is saved lies in a mapped file that has lost it; load it again");
    return fail(file, "writing failed: %s", strerror(errno));
}

/* Writes the folder, in which the new name stands, to the disk. A file system that cannot do that
 * is no reason to fail. */
static void sync_folder(const char *path)
{
    char folder[PATH_MAX];
    folder_of(path, folder);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
}

bool atomic_file_commit(struct atomic_file *file)
{
    bool done = fsync(file->fd) == 0 || errno == EINVAL || errno == ENOTSUP;
    done = done && (file->temporary[0] || give_name(file));
    int error = errno;
    /* A network file system may report only here that it is full. */
    done = close(file->fd) == 0 && done;
    if (!done)
        fail(file, "writing failed: %s", strerror(error));
    else if (rename(file->temporary, file->target) < 0)
        done = fail(file, "the new file can't take its place: %s", strerror(errno));
    if (!done && file->temporary[0])
        unlink(file->temporary);
    file->fd = -1;
    if (done)
        sync_folder(file->target);
    return done;
}

void atomic_file_abandon(struct atomic_file *file)
{
    if (file->fd < 0)
        return;
    close(file->fd);
    if (file->temporary[0])
        unlink(file->temporary);
    file->fd = -1;
}

bool atomic_file_finish(struct atomic_file *file, bool written)
{
    bool done = written && atomic_file_commit(file);
    if (!done)
        atomic_file_abandon(file);
    return done;
}
