/* Where the log records and displays of a worker go. */
#ifndef LKRUN_WORKER_SINKS_H
#define LKRUN_WORKER_SINKS_H

#include "worker/worker.h"

/* Worker: log records and displays become frames from here on. */
void worker_install_sinks(struct worker_site *site);

/* Host: such a frame's payload, from worker `worker` (from 1). */
void sinks_show_log(const char *bytes, size_t length, int worker, uint64_t task);
void sinks_show_progress(const char *bytes, size_t length, int worker);

#endif
