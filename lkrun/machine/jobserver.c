/* The descriptors that make hands down are shared by every process of its tree: whether they block
 * is for none of them to change. So a pipe is opened anew, through /proc, for a description of our
 * own that does not block; nobody ever waits in a read for a token that another took first.
 *
 * What always holds: held[0 .. held_count) are the bytes read and not written back. They go back as
 * they came, as make asks. */
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
static _Atomic pid_t owner;               /* the process that has looked; 0: none yet */
static bool limits;                       /* there is one, reachable or not */
static int read_end = -1, write_end = -1; /* ours */
static char held[CONFIG_LIMIT];
static _Atomic int held_count;

/* The value of the last such option; what follows " -- " are variables. */
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

/* Whether both are ends of one pipe, each open the way it should be. */
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
        warn(value, "that is no named pipe", "is that make still running?");
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

/* With the lock held. */
static void look(void)
{
    pid_t self = getpid();
    if (owner == self)
        return;
    bool forked = owner != 0;
    owner = self;
    held_count = 0; /* the parent's are its own */
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
        (void)!write(write_end, &held[held_count], 1); /* what was taken left room */
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
