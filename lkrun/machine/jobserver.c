/* All processes under a make share the descriptors that it hands down, so none of them may change
 * whether reading blocks. Therefore this file opens the pipe anew, through /proc, which gives it an
 * open file description of its own that does not block; so nobody ever waits in a read for a token
 * that another process took first.
 *
 * What always holds: held[0 .. held_count) are the bytes that were read and not written back. Each
 * goes back as it came, as make demands. */
#include "machine/jobserver.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "machine/config.h"
#include "screen/log.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic pid_t owner; /* the process that has looked for a jobserver; 0: none yet */
static bool limits;         /* there is a jobserver, whether it can be reached or not */
/* Descriptors of the pipe, opened anew; -1: it can't be reached. */
static int read_end = -1, write_end = -1;
static char held[CONFIG_LIMIT];
static _Atomic int held_count;

/* The value of the last option of MAKEFLAGS that names a jobserver. Behind "--" there are variables
 * and no options. */
static bool find_option(const char *flags, char *value, size_t size)
{
    static const char *const names[] = {"--jobserver-auth=", "--jobserver-fds="};
    bool found = false;
    while (*flags) {
        flags += strspn(flags, " ");
        size_t length = strcspn(flags, " ");
        if (length == 2 && memcmp(flags, "--", 2) == 0)
            break;
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
            size_t name = strlen(names[i]);
            if (length > name && length - name < size && memcmp(flags, names[i], name) == 0) {
                memcpy(value, flags + name, length - name);
                value[length - name] = 0;
                found = true;
            }
        }
        flags += length;
    }
    return found;
}

static void warn(const char *value, const char *found, const char *advice)
{
    log_message(LOG_LEVEL_WARN,
                "jobserver: MAKEFLAGS says --jobserver-auth=%s, but %s; one worker runs at a "
                "time; %s",
                value, found, advice);
}

static int reopen(int descriptor, int mode)
{
    char path[48];
    snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    return open(path, mode | O_NONBLOCK | O_CLOEXEC);
}

/* Whether these are the two ends of one pipe, the first open for reading,
 * the second for writing. */
static bool is_pipe(int for_reading, int for_writing)
{
    struct stat in, out;
    int in_flags = fcntl(for_reading, F_GETFL), out_flags = fcntl(for_writing, F_GETFL);
    return in_flags >= 0 && out_flags >= 0 && (in_flags & O_ACCMODE) != O_WRONLY &&
           (out_flags & O_ACCMODE) != O_RDONLY && fstat(for_reading, &in) == 0 &&
           fstat(for_writing, &out) == 0 && S_ISFIFO(in.st_mode) && S_ISFIFO(out.st_mode) &&
           in.st_dev == out.st_dev && in.st_ino == out.st_ino;
}

static void open_pipe(const char *value)
{
    static const char advice[] = "begin the recipe's line with + so that make leaves them open";
    int for_reading, for_writing, end = 0;
    if (sscanf(value, "%d,%d%n", &for_reading, &for_writing, &end) != 2 || value[end]) {
        warn(value, "that is neither two descriptors nor fifo:PATH", "use GNU make 4");
    } else if (for_reading < 0 || for_writing < 0 || !is_pipe(for_reading, for_writing)) {
        warn(value, "these descriptors are not the two ends of one pipe", advice);
    } else {
        read_end = reopen(for_reading, O_RDONLY);
        write_end = reopen(for_writing, O_WRONLY);
        if (read_end < 0 || write_end < 0)
            warn(value, strerror(errno), "lkrun opens them anew through /proc");
    }
}

static void open_named(const char *value, const char *path)
{
    struct stat status;
    read_end = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    write_end = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    if (read_end < 0 || write_end < 0)
        warn(value, strerror(errno), "is that make still running?");
    else if (fstat(read_end, &status) < 0 || !S_ISFIFO(status.st_mode))
        warn(value, "that is not a named pipe", "is that make still running?");
    else
        return;
    close(write_end);
    write_end = -1;
}

static void take_lock(void)
{
    pthread_mutex_lock(&lock);
}

static void give_lock(void)
{
    pthread_mutex_unlock(&lock);
}

/* Under the lock: finds the jobserver, once in a process; a forked
 * process starts without tokens. */
static void look(void)
{
    pid_t self = getpid();
    if (owner == self)
        return;
    bool forked = owner != 0;
    owner = self;
    held_count = 0; /* what the parent holds is the parent's */
    if (forked)
        return;
    pthread_atfork(take_lock, give_lock, give_lock);
    const char *flags = getenv("MAKEFLAGS");
    char value[4096];
    limits = flags && find_option(flags, value, sizeof value);
    if (!limits)
        return;
    if (strncmp(value, "fifo:", 5) == 0)
        open_named(value, value + 5);
    else
        open_pipe(value);
    if (read_end < 0 || write_end < 0) {
        if (read_end >= 0)
            close(read_end);
        if (write_end >= 0)
            close(write_end);
        read_end = write_end = -1;
    } else {
        atexit(jobserver_give_all);
    }
}

bool jobserver_limits(void)
{
    take_lock();
    look();
    give_lock();
    return limits;
}

bool jobserver_take(void)
{
    take_lock();
    look();
    bool taken =
        read_end >= 0 && held_count < CONFIG_LIMIT && read(read_end, &held[held_count], 1) == 1;
    if (taken)
        held_count++;
    give_lock();
    return taken;
}

void jobserver_give(void)
{
    take_lock();
    look();
    if (held_count > 0) {
        held_count--;
        /* The pipe is not full: this byte came from it. */
        (void)!write(write_end, &held[held_count], 1);
    }
    give_lock();
}

int jobserver_descriptor(void)
{
    return read_end;
}

void jobserver_give_all(void)
{
    if (owner != getpid())
        return;
    int count = atomic_exchange(&held_count, 0);
    if (count > 0)
        (void)!write(write_end, held, (size_t)count);
}
