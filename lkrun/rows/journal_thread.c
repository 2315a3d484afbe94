/* A thread of its own brings records to the disk, so that a slow disk does not hold up the batch.
 * Invariant: the bytes of the file before offset end - gathered.length are written, or being
 * written by that thread, and nobody else writes records. */
#include "rows/journal_thread.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Nanoseconds that a record waits to be written, and to be brought to the disk. When the process is
 * killed, it loses the records of the first interval; when the machine stops, those of the second.
 */
#define WRITE_AFTER ((uint64_t)20e6)
#define SYNC_AFTER  ((uint64_t)300e6)

static struct timespec at(uint64_t nanoseconds)
{
    return (struct timespec){(time_t)(nanoseconds / 1000000000u),
                             (long)(nanoseconds % 1000000000u)};
}

/* Sleeps until there are bytes to write, and then a moment longer for more of them; or until `due`,
 * when what was written has to be brought to the disk (0: nothing waits for that). The lock is
 * held. */
static void wait_for_work(struct journal *journal, uint64_t due)
{
    struct timespec until = at(due);
    journal->idle = true;
    while (!journal->stopping && journal->gathered.length == 0) {
        if (due == 0)
            pthread_cond_wait(&journal->news, &journal->lock);
        else if (pthread_cond_timedwait(&journal->news, &journal->lock, &until) == ETIMEDOUT)
            break;
    }
    journal->idle = false;
    if (journal->gathered.length == 0)
        return;
    until = at(clock_nanoseconds() + WRITE_AFTER);
    while (!journal->stopping && journal->gathered.length < JOURNAL_BULK &&
           pthread_cond_timedwait(&journal->news, &journal->lock, &until) != ETIMEDOUT)
        ;
}

static void *write_records(void *argument)
{
    struct journal *journal = argument;
    struct buffer writing = {0};
    uint64_t due = 0; /* when what was written must be brought to the disk; 0: it was */
    pthread_mutex_lock(&journal->lock);
    while (!journal->error && (!journal->stopping || due || journal->gathered.length > 0)) {
        wait_for_work(journal, due);
        if (due == 0)
            due = clock_nanoseconds() + SYNC_AFTER;
        bool sync = journal->stopping || due <= clock_nanoseconds();
        /* The two buffers change places, so that records are added to one while the other is
         * written. */
        struct buffer taken = journal->gathered;
        uint64_t offset = journal->end - taken.length;
        writing.length = 0;
        journal->gathered = writing;
        writing = taken;
        pthread_mutex_unlock(&journal->lock);
        bool done = file_write_all(journal->fd, writing.data, writing.length, (off_t)offset) &&
                    (!sync || fdatasync(journal->fd) == 0 || errno == EINVAL);
        int error = errno;
        pthread_mutex_lock(&journal->lock);
        if (sync)
            due = 0;
        if (!done)
            journal->error = error;
        pthread_cond_broadcast(&journal->drained);
    }
    pthread_mutex_unlock(&journal->lock);
    buffer_free(&writing);
    return NULL;
}

bool journal_run(struct journal *journal)
{
    sigset_t all, before;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&journal->news, &monotonic);
    pthread_condattr_destroy(&monotonic);
    sigfillset(&all); /* signals are left to the main thread */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&journal->thread, NULL, write_records, journal);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    journal->running = error == 0;
    return error == 0 || journal_fail(journal, "its thread can't be made: %s", strerror(error));
}

bool journal_stop(struct journal *journal)
{
    if (journal->running) {
        pthread_mutex_lock(&journal->lock);
        journal->stopping = true;
        pthread_cond_signal(&journal->news);
        pthread_mutex_unlock(&journal->lock);
        pthread_join(journal->thread, NULL);
        journal->running = journal->stopping = false;
    }
    return journal->error == 0 || journal_fail(journal, "%s", strerror(journal->error));
}

void journal_close(struct journal *journal)
{
    if (journal->owner == getpid()) {
        journal_stop(journal);
        journal_unmap(journal);
    }
    if (journal->fd >= 0)
        close(journal->fd);
    journal->fd = -1;
    buffer_free(&journal->gathered);
    buffer_free(&journal->done);
}

bool journal_remove(struct journal *journal)
{
    return !journal_is_current(journal) || unlink(journal->path) == 0 ||
           journal_fail(journal, "%s", strerror(errno));
}
