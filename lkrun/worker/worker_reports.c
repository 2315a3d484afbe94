/* Log records and progress displays of workers, as frames. This file writes and reads them, so
 * their layout is the simplest there is: a struct, then the strings, each with a zero at its end.
 */
#include "worker/worker_reports.h"

#include <string.h>

#include "base/util.h"
#include "screen/log.h"
#include "screen/progress.h"
#include "worker/worker.h"
#include "worker/worker_shared.h"
#include "worker/worker_site.h"

struct log_frame {
    int32_t level;
    uint32_t logger; /* bytes of the name with its zero; the rest of the frame is the text */
};

struct progress_frame {
    uint64_t id;
    int64_t total;
    struct progress_state state;
    uint8_t finished;
    uint8_t present[3]; /* whether there is a logger, a label, a unit */
};

static void post_log(void *context, const struct log_record *record)
{
    struct buffer frame = {0};
    struct log_frame head = {(int32_t)record->level, (uint32_t)strlen(record->logger) + 1};
    if (buffer_append(&frame, &head, sizeof head) &&
        buffer_append(&frame, record->logger, head.logger) &&
        buffer_append(&frame, record->text, record->length))
        worker_post(context, RESULT_LOG, 0, frame.data, frame.length);
    buffer_free(&frame);
}

void reports_show_log(const char *bytes, size_t length, int worker, uint64_t task)
{
    struct log_frame head;
    memcpy(&head, bytes, sizeof head);
    const char *logger = bytes + sizeof head, *text = logger + head.logger;
    struct log_record record = {
        .level = (enum log_level)head.level,
        .logger = logger,
        .text = text,
        .length = length - (size_t)(text - bytes),
        .worker = worker,
        .task = task,
    };
    log_write(&record);
}

static bool append_string(struct buffer *frame, const char *text, uint8_t *present)
{
    *present = text != NULL;
    return !text || buffer_append(frame, text, strlen(text) + 1);
}

static void post_progress(void *context, const struct progress *progress)
{
    struct buffer frame = {0};
    struct progress_frame head = {
        .id = progress->id, .total = progress->total, .state = progress->state};
    head.finished = progress->finished;
    if (buffer_append(&frame, &head, sizeof head) &&
        append_string(&frame, progress->logger, &head.present[0]) &&
        append_string(&frame, progress->label, &head.present[1]) &&
        append_string(&frame, progress->unit, &head.present[2])) {
        memcpy(frame.data, &head, sizeof head);
        worker_post(context, RESULT_PROGRESS, 0, frame.data, frame.length);
    }
    buffer_free(&frame);
}

void reports_show_progress(const char *bytes, size_t length, int worker)
{
    struct progress_frame head;
    memcpy(&head, bytes, sizeof head);
    const char *at = bytes + sizeof head;
    const char *strings[3] = {NULL, NULL, NULL};
    for (int i = 0; i < 3; i++)
        if (head.present[i] && at < bytes + length) {
            strings[i] = at;
            at += strlen(at) + 1;
        }
    struct progress progress = {
        .id = head.id,
        .logger = (char *)strings[0],
        .label = (char *)strings[1],
        .unit = (char *)strings[2],
        .total = head.total,
        .worker = worker,
        .state = head.state,
        .finished = head.finished,
    };
    progress_mirror(&progress);
}

void worker_install_reports(struct worker_site *site)
{
    log_set_handler(post_log, site);
    progress_set_handler(post_progress, site);
}
