/* The journal of a batch: results as they come, so that a run that was killed goes on where it was.
 *
 *   offset 0    "lkrun-journal 1\n"
 *   offset 16   who has it: a JSON object, padded with spaces, a line end at offset 511
 *   offset 512  records: struct journal_record, then `length` bytes, padded to a multiple of 8
 *
 * The first record is what the batch is (HEADER); a journal without one is empty. Then results in
 * any order, each number once at most that counts: the first. Numbers are little-endian. What
 * follows the first record whose check is wrong is as good as not there: it is what the machine was
 * about to write when it stopped. */
#ifndef LKRUN_JOURNAL_H
#define LKRUN_JOURNAL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <limits.h>
#include <sys/types.h>

#include "base/util.h"

#define JOURNAL_MAGIC   "lkrun-journal 1\n"
#define JOURNAL_RECORDS 512 /* where the first one is */

enum journal_kind {
    JOURNAL_HEADER = 1,
    JOURNAL_RESULT,   /* number: of the task; signature: of its rows, 0: none */
    JOURNAL_SIGNATURE /* number: what `signature` of the results after it says */
};

struct journal_record {
    uint32_t length;
    uint16_t kind;
    uint16_t signature;
    uint64_t number;
    uint64_t check; /* XXH64 of what is before it here and of the bytes, seeded with the offset */
};

struct journal {
    char path[PATH_MAX];
    int fd;             /* -1: closed */
    pid_t owner;        /* the process that opened it; a fork's copy does nothing */
    uint64_t end;       /* where the next record goes */
    const char *mapped; /* the file, while it is read */
    size_t mapped_size;
    struct buffer done; /* a bit for each task that has a result, from task 0 on */
    uint64_t done_count;
    /* The writing thread, and what is between it and the others. */
    bool running;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t news;    /* for the thread: something is gathered, or it is to stop */
    pthread_cond_t drained; /* for the others: gathered bytes are written */
    struct buffer gathered; /* not written yet; they belong at end - length */
    bool stopping;
    bool idle; /* the thread waits for news, and not for more of them */
    int error; /* errno of the first write that failed */
    char problem[600];
};

#define JOURNAL_BULK ((size_t)1 << 20) /* gathered bytes that are worth a write at once */

/* Opens the file, or makes it, and locks it for this process. False with `problem`. */
bool journal_open(struct journal *journal, const char *path);
/* Empties it and gives it this header. */
bool journal_start(struct journal *journal, const void *header, size_t length);
/* Reads what is there: *header is what journal_start was given, NULL where it is empty. Notes which
 * tasks are done, and cuts off what is not whole. The header stays until journal_unmap. */
bool journal_read(struct journal *journal, const char **header, size_t *length);
/* The record at *offset, and *offset moved to the next; NULL at the end. Between journal_map and
 * journal_unmap. */
bool journal_map(struct journal *journal);
const struct journal_record *journal_next(struct journal *journal, uint64_t *offset);
void journal_unmap(struct journal *journal);

bool journal_is_done(const struct journal *journal, uint64_t number);
/* Adds a record; the thread writes it soon, and syncs it within a second. False with `problem`
 * where an earlier one could not be written. */
bool journal_add(struct journal *journal, enum journal_kind kind, uint16_t signature,
                 uint64_t number, const void *bytes, size_t length);
/* Whether the path still leads to the file that was opened: its last holder may have removed it. */
bool journal_is_current(const struct journal *journal);

/* For the files of the journal: notes the problem and gives false. */
bool journal_fail(struct journal *journal, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
