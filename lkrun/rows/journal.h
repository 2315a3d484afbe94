/* The journal of a batch: results in the order in which they come, so that a run that was killed
 * can continue where it stopped.
 *
 *   offset 0    "lkrun-journal 1\n"
 *   offset 16   who holds it: a JSON object, padded with spaces, and a line end at offset 511
 *   offset 512  records: struct journal_record, then `length` bytes, padded to a multiple of 8
 *
 * The first record is the HEADER, which says what the batch is; a journal without one is empty.
 * Then come results in any order; of several with one number the first counts. Numbers are
 * little-endian. The first record whose check is wrong, and all after it, is ignored: it was being
 * written when the machine stopped. */
#ifndef LKRUN_JOURNAL_H
#define LKRUN_JOURNAL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <limits.h>
#include <sys/types.h>

#include "base/util.h"

#define JOURNAL_MAGIC   "lkrun-journal 1\n"
#define JOURNAL_RECORDS 512 /* offset of the first record */

enum journal_kind {
    JOURNAL_HEADER = 1,
    JOURNAL_RESULT,   /* number: of the task; signature: of its rows, 0: none */
    JOURNAL_SIGNATURE /* signature: the number by which later results refer to these bytes */
};

struct journal_record {
    uint32_t length;
    uint16_t kind;
    uint16_t signature;
    uint64_t number;
    uint64_t check; /* XXH64 of the fields above and of the bytes, seeded with the offset */
};

struct journal {
    char path[PATH_MAX];
    int fd;             /* -1: closed */
    pid_t owner;        /* the process that opened it; a forked copy leaves the file alone */
    uint64_t end;       /* offset of the next record that is added */
    const char *mapped; /* the file, between journal_map and journal_unmap; else NULL */
    size_t mapped_size;
    struct buffer done; /* a bit for each task, from task 0 on: whether it has a result */
    uint64_t done_count;
    /* The writing thread, and what it shares with the thread that adds records, under `lock`. */
    bool running;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t news;    /* for the writing thread: bytes were gathered, or it is to stop */
    pthread_cond_t drained; /* for the other one: gathered bytes were written */
    struct buffer gathered; /* bytes still to be written, at offset end - gathered.length */
    bool stopping;
    bool idle;         /* the writing thread waits for the first bytes, and must be woken */
    int error;         /* errno of the first write that failed */
    char problem[600]; /* why the last call returned false */
};

/* When so many bytes are gathered, they are written without waiting for more. */
#define JOURNAL_BULK ((size_t)1 << 20)

/* Opens the file, or creates it, and locks it for this process. False with `problem`. */
bool journal_open(struct journal *journal, const char *path);
/* Empties the journal and gives it this header. */
bool journal_start(struct journal *journal, const void *header, size_t length);
/* Reads the journal: *header is what journal_start was given, NULL where it is empty. Notes which
 * tasks are done, and cuts off an incomplete record at the end. *header is valid until
 * journal_unmap. */
bool journal_read(struct journal *journal, const char **header, size_t *length);
bool journal_map(struct journal *journal);
void journal_unmap(struct journal *journal);
/* While the file is mapped: gives the record at *offset, and moves *offset to the next one; NULL at
 * the end. */
const struct journal_record *journal_next(struct journal *journal, uint64_t *offset);

bool journal_is_done(const struct journal *journal, uint64_t number);
/* Adds a record, which the writing thread writes soon, and brings to the disk within a second.
 * False with `problem` where an earlier record could not be written. */
bool journal_add(struct journal *journal, enum journal_kind kind, uint16_t signature,
                 uint64_t number, const void *bytes, size_t length);
/* Whether the path still leads to the file that was opened. Whoever held it before may have removed
 * it. */
bool journal_is_current(const struct journal *journal);

/* Sets `problem` and returns false; for the files of the journal. */
bool journal_fail(struct journal *journal, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
