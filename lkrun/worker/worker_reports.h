/* Where the log records and displays of a worker go. */
#ifndef LKRUN_WORKER_REPORTS_H
#define LKRUN_WORKER_REPORTS_H

#include "worker/worker.h"

/* In a worker: from here on its log records and displays go to the host as frames. */
void worker_install_reports(struct worker_site *site);

/* In the host: shows the payload of such a frame. `worker`: the worker that sent it, from 1;
 * `task`: the index of the task that logged the record, 0: none. */
void reports_show_log(const char *bytes, size_t length, int worker, uint64_t task);
void reports_show_progress(const char *bytes, size_t length, int worker);

#endif
