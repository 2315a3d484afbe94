/* The records go to a file of this process's own in LK_PROGRESS_DIR. Nothing here is ever an error
 * of the program: what can't be written is left out. */
#include "screen/progress_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/util.h"

#define FORMAT_VERSION 1

static int file = -1;
static bool was_tried; /* this process has tried to open the file; it tries once */
static json_t *job;    /* an object with rule, wildcards, outputs; NULL: nobody has set one */

bool progress_set_job(const char *text)
{
    json_t *said = text ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;
    if (text && !json_is_object(said)) {
        json_decref(said);
        return false;
    }
    json_decref(job);
    job = said;
    return true;
}

static json_t *text_value(const char *text)
{
    json_t *value = json_string(text);
    if (value || !text)
        return value ? value : json_null();
    /* The text is not UTF-8: every byte that is not ASCII becomes "?". */
    char *plain = strdup(text);
    for (char *at = plain; at && *at; at++)
        if ((unsigned char)*at >= 0x80)
            *at = '?';
    value = json_string(plain);
    free(plain);
    return value;
}

static double wall_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + (double)(now.tv_nsec / 1000000) * 1e-3;
}

static const char *host_name(void)
{
    static char name[HOST_NAME_MAX + 1];
    if (!*name && (gethostname(name, sizeof name - 1) != 0 || !*name))
        strcpy(name, "localhost");
    return name;
}

char *watch_json(const struct display *display, uint64_t now)
{
    const struct progress *progress = &display->base;
    const struct progress_state *state = &progress->state;
    static const char *const job_fields[] = {"rule", "wildcards", "outputs"};
    uint64_t until = display->ended ? display->ended : now;
    json_t *line = json_object();
    json_object_set_new(line, "version", json_integer(FORMAT_VERSION));
    json_object_set_new(line, "time", json_real(wall_clock()));
    json_object_set_new(line, "host", text_value(host_name()));
    json_object_set_new(line, "pid", json_integer(getpid()));
    for (size_t i = 0; i < sizeof job_fields / sizeof *job_fields; i++)
        json_object_set(line, job_fields[i], json_object_get(job, job_fields[i]));
    json_object_set_new(line, "id", json_integer((json_int_t)progress->id));
    if (progress->worker)
        json_object_set_new(line, "worker", json_integer(progress->worker));
    json_object_set_new(line, "logger", text_value(progress->logger));
    json_object_set_new(line, "label", text_value(progress->label));
    json_object_set_new(line, "unit", text_value(progress->unit ? progress->unit : "tasks"));
    json_object_set_new(line, "total",
                        progress->total < 0 ? json_null() : json_integer(progress->total));
    json_object_set_new(line, "dispatched", json_integer((json_int_t)state->dispatched));
    json_object_set_new(line, "in_progress", json_integer((json_int_t)state->in_progress));
    json_object_set_new(line, "finished", json_integer((json_int_t)state->finished));
    json_object_set_new(line, "elapsed",
                        json_real((double)((until - progress->started) / 1000000) * 1e-3));
    json_object_set_new(line, "ended", json_boolean(display->ended != 0));
    char *text = json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(14));
    json_decref(line);
    return text;
}

static const char *watch_folder(void)
{
    const char *folder = getenv("LK_PROGRESS_DIR");
    return folder && *folder ? folder : NULL;
}

bool watch_is_on(void)
{
    return watch_folder() != NULL;
}

/* Opens HOST-PID.jsonl; where an earlier process with the same PID has left such a file,
 * HOST-PID-2.jsonl and so on. -1: it can't be opened. */
static int open_file(void)
{
    char path[PATH_MAX], host[HOST_NAME_MAX + 1];
    snprintf(host, sizeof host, "%s", host_name());
    for (char *at = host; *at; at++)
        if (*at == '/')
            *at = '_';
    for (int attempt = 1; attempt <= 1000; attempt++) {
        char number[16] = "";
        if (attempt > 1)
            snprintf(number, sizeof number, "-%d", attempt);
        int length = snprintf(path, sizeof path, "%s/%s-%ld%s.jsonl", watch_folder(), host,
                              (long)getpid(), number);
        if (length < 0 || (size_t)length >= sizeof path)
            return -1;
        int opened =
            open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_APPEND, 0666);
        if (opened >= 0 || errno != EEXIST)
            return opened;
    }
    return -1;
}

void watch_write(const struct display *display, uint64_t now)
{
    if (!was_tried) {
        was_tried = true;
        file = open_file();
    }
    char *line = file >= 0 ? watch_json(display, now) : NULL;
    size_t length = line ? strlen(line) : 0;
    if (line) {
        line[length] = '\n'; /* in place of the ending 0, so that a line is one write */
        file_write_all(file, line, length + 1, FILE_WRITE_ON);
    }
    free(line);
}

void watch_enter_worker(void)
{
    if (file >= 0)
        close(file);
    file = -1;
    was_tried = false;
}
