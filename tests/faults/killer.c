/* A library that is preloaded into a program and wraps the calls that change files:
 *   LKRUN_KILL_AT=N      SIGKILL ends the program at the N-th of them; a write is half done then
 *   LKRUN_FULL_AT=N      from the N-th write on, the disk is full
 *   LKRUN_SYNC_LOG=FILE  FILE gets a line for each fdatasync: the size of the file that it synced
 * Calls of the program's child processes are not counted. */
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static pid_t program;
static int calls_until_kill;  /* 0: no call is the last */
static int writes_until_full; /* 0: the disk is never full */
static const char *sync_log;

__attribute__((constructor)) static void begin(void)
{
    const char *kill_at = getenv("LKRUN_KILL_AT"), *full_at = getenv("LKRUN_FULL_AT");
    program = getpid();
    calls_until_kill = kill_at ? atoi(kill_at) : 0;
    writes_until_full = full_at ? atoi(full_at) : 0;
    sync_log = getenv("LKRUN_SYNC_LOG"); /* stays in the environment, for workers */
    unsetenv("LKRUN_KILL_AT");
    unsetenv("LKRUN_FULL_AT");
}

static int is_full(void)
{
    if (getpid() != program || writes_until_full == 0)
        return 0;
    if (writes_until_full > 1) {
        writes_until_full--;
        return 0;
    }
    errno = ENOSPC;
    return 1;
}

static int is_due(void)
{
    return getpid() == program && calls_until_kill > 0 &&
           __atomic_sub_fetch(&calls_until_kill, 1, __ATOMIC_RELAXED) == 0;
}

static void die(void)
{
    kill(getpid(), SIGKILL);
}

#define REAL(name) (__extension__(__typeof__(&name)) dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void *bytes, size_t length)
{
    __typeof__(&write) real = REAL(write);
    bool is_of_file = fd > 2 && length != 8; /* 8 bytes are those of an eventfd */
    if (is_of_file && is_due()) {
        real(fd, bytes, length / 2);
        die();
    }
    if (is_of_file && is_full())
        return -1;
    return real(fd, bytes, length);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    __typeof__(&writev) real = REAL(writev);
    if (fd > 2 && is_full())
        return -1;
    return real(fd, parts, count);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset)
{
    __typeof__(&pwrite) real = REAL(pwrite);
    if (is_due()) {
        real(fd, bytes, length / 2, offset);
        die();
    }
    if (is_full())
        return -1;
    return real(fd, bytes, length, offset);
}

#define BEFORE_AND_AFTER(name, parameters, arguments)                                              \
    int name parameters                                                                            \
    {                                                                                              \
        __typeof__(&name) real = REAL(name);                                                       \
        if (is_due())                                                                              \
            die();                                                                                 \
        int done = real arguments;                                                                 \
        if (is_due())                                                                              \
            die();                                                                                 \
        return done;                                                                               \
    }

int rename(const char *from, const char *to);
BEFORE_AND_AFTER(rename, (const char *from, const char *to), (from, to))
BEFORE_AND_AFTER(unlink, (const char *path), (path))
BEFORE_AND_AFTER(ftruncate, (int fd, off_t size), (fd, size))
BEFORE_AND_AFTER(fsync, (int fd), (fd))

int fdatasync(int fd)
{
    __typeof__(&fdatasync) real = REAL(fdatasync);
    struct stat status;
    bool is_seen = sync_log && getpid() == program && fstat(fd, &status) == 0;
    if (is_due())
        die();
    int done = real(fd);
    if (is_due())
        die();
    FILE *log = is_seen && done == 0 ? fopen(sync_log, "a") : NULL;
    if (log) {
        fprintf(log, "%lld\n", (long long)status.st_size);
        fclose(log);
    }
    return done;
}
