/* Where the log records and displays of a worker go. */
#ifndef LKRUN_WORKER_REPORTS_H
#define LKRUN_WORKER_REPORTS_H

#include "worker/worker.h"

/* Worker: log records and displays become frames from here on. */
void worker_install_reports(struct worker_site *site);

/* Host: such a frame's payload, from worker `worker` (from 1). */
void reports_show_log(const char *bytes, size_t length, int worker, uint64_t task);
void reports_show_progress(const char *bytes, size_t length, int worker);

#endif
