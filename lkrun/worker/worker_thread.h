/* A worker that is a thread: its own Lua state, and the loop of every worker. */
#ifndef LKRUN_WORKER_THREAD_H
#define LKRUN_WORKER_THREAD_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "base/util.h"
#include "value/carry.h"
#include "worker/workplace.h"

struct worker_thread {
    const struct workplace *workplace;
    const struct buffer *carried; /* func and model; owned by the host */
    int place;                    /* from 0 */
    int bell_fd;                  /* wakes this worker */
    pthread_t thread;
    bool started;         /* there is a thread to join */
    uint32_t write_epoch; /* above the epoch of everything that the thread is given */
    char *path, *cpath;   /* of the host's package; owned by the host */
    sem_t *ready;         /* posted when the thread can take tasks, or has a problem */
    char problem[500];    /* why it cannot take tasks; "" otherwise */
    atomic_bool ended;    /* the thread touches nothing of the pool any more */
};

void *worker_thread_main(void *thread); /* a struct worker_thread */

/* How storage is carried to threads: by its address. */
extern const struct carry_port thread_carry_port;

#endif
