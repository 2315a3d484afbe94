/* The file is a JSON array with an event on each line. Events are gathered in memory and written
 * together, over the closing bracket of the array and with a new one behind them. So the file is
 * whole whenever the process is killed between two writes. The kernel may cut a write short at the
 * end of a page; no event lies across two pages, so that the file can lack no more than the
 * bracket.
 *
 * Main invariant: `length` is where the next event goes, and the file's
 * last bytes are `closing`. */
#include "screen/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "screen/log.h"
#include "base/util.h"

/* Gathered events are written when they are so many bytes, or when the last write was so long
 * ago. */
#define WRITE_BYTES ((size_t)64 << 10)
#define WRITE_AGE   100000000u /* nanoseconds */
#define PAGE        4096u
/* A worker's wait for its next task is recorded only if it takes at least this long. */
#define IDLE_MIN 20000u /* nanoseconds */

static const char opening[] = "[\n", closing[] = "\n]\n";

struct trace_file {
    struct trace_file *next;
    char path[PATH_MAX];
    int descriptor;       /* -1: nobody uses the file now */
    pid_t owner;          /* the process that opened it */
    unsigned users;       /* invokers that have opened and not closed it */
    unsigned last_number; /* the number that an invoker was given last */
    uint64_t start;       /* of the timeline: clock_nanoseconds when the file was first opened */
    uint64_t written_at;
    off_t length; /* of the file, without `closing` */
    bool has_events;
    bool failed; /* a write has failed: nothing more is written */
    struct buffer gathered;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct trace_file *open_files;

/* Writes the gathered events. Where that fails a warning says so, once, and the program goes on. */
static void write_gathered(struct trace_file *file)
{
    size_t length = file->gathered.length;
    if (!length || file->failed || file->owner != getpid())
        return;
    if (!buffer_append(&file->gathered, closing, sizeof closing - 1) ||
        !file_write_all(file->descriptor, file->gathered.data, file->gathered.length,
                        file->length)) {
        file->failed = true;
        log_message(LOG_LEVEL_WARN, "trace: %s: %s; the rest of the timeline is left out",
                    file->path, strerror(errno));
        (void)!ftruncate(file->descriptor, file->length);
        (void)!pwrite(file->descriptor, closing, sizeof closing - 1, file->length);
    }
    file->length += (off_t)length;
    file->gathered.length = 0;
    file->written_at = clock_nanoseconds();
}

/* Called by exit(), for a program that ends without closing its invokers. */
static void write_at_exit(void)
{
    for (struct trace_file *file = open_files; file; file = file->next)
        write_gathered(file);
}

/* Opens the file and makes it an empty timeline. A file that this process has written before is
 * continued instead, if its size is still what it was left with. False with errno set; EINVAL: it
 * is not a regular file; EWOULDBLOCK: another program holds its lock. */
static bool open_whole(struct trace_file *file)
{
    struct stat status;
    file->descriptor = open(file->path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0666);
    if (file->descriptor < 0)
        return false;
    errno = EINVAL;
    if (fstat(file->descriptor, &status) != 0 || !S_ISREG(status.st_mode))
        return false;
    if (flock(file->descriptor, LOCK_EX | LOCK_NB) != 0)
        return false;
    if (file->has_events && status.st_size == file->length + (off_t)sizeof closing - 1)
        return true;
    char empty[sizeof opening + sizeof closing];
    /* Without events there is no newline before the bracket. */
    int length = snprintf(empty, sizeof empty, "%s%s", opening, closing + 1);
    file->length = sizeof opening - 1;
    file->has_events = file->failed = false;
    return ftruncate(file->descriptor, 0) == 0 &&
           pwrite(file->descriptor, empty, (size_t)length, 0) == length;
}

static void shut(struct trace_file *file)
{
    if (file->descriptor >= 0)
        close(file->descriptor);
    file->descriptor = -1;
    buffer_free(&file->gathered);
}

/* Opens the file; false, with `problem` filled in, where it can't be opened. */
static bool try_open(struct trace_file *file, char *problem, size_t size)
{
    if (open_whole(file))
        return true;
    snprintf(problem, size, "%s",
             errno == EWOULDBLOCK ? "another program is writing it; give each a file of its own"
             : errno == EINVAL    ? "it is not a regular file"
                                  : strerror(errno));
    shut(file);
    return false;
}

static struct trace_file *open_new(const char *path, char *problem, size_t size)
{
    static bool registered;
    struct trace_file *file = calloc(1, sizeof *file);
    if (!file || strlen(path) >= sizeof file->path) {
        snprintf(problem, size, "%s", strerror(file ? ENAMETOOLONG : ENOMEM));
        free(file);
        return NULL;
    }
    strcpy(file->path, path);
    file->owner = getpid();
    file->written_at = clock_nanoseconds();
    /* A whole microsecond, so that TRACE_TIME_OF finds the fraction without `start`. */
    file->start = file->written_at - file->written_at % 1000;
    if (!try_open(file, problem, size)) {
        free(file);
        return NULL;
    }
    if (!registered)
        atexit(write_at_exit);
    registered = true;
    file->next = open_files;
    open_files = file;
    return file;
}

struct trace_file *trace_open(const char *path, char *problem, size_t size)
{
    pthread_mutex_lock(&lock);
    struct trace_file *file = open_files;
    while (file && (file->owner != getpid() || strcmp(file->path, path) != 0))
        file = file->next;
    if (!file)
        file = open_new(path, problem, size);
    else if (file->descriptor < 0 && !try_open(file, problem, size))
        file = NULL;
    if (file)
        file->users++;
    pthread_mutex_unlock(&lock);
    return file;
}

/* The struct stays after the last user: an invoker that opens the same path later goes on in it. */
void trace_close(struct trace_file *file)
{
    if (file->owner != getpid())
        return;
    pthread_mutex_lock(&lock);
    write_gathered(file);
    if (--file->users == 0)
        shut(file);
    pthread_mutex_unlock(&lock);
}

/* Appends spaces where the next `length` bytes would otherwise lie across two pages of the file. */
static bool skip_to_page(struct trace_file *file, size_t length)
{
    static const char spaces[] = "                                ";
    size_t left = PAGE - ((size_t)file->length + file->gathered.length) % PAGE;
    bool whole = true;
    if (left >= length)
        return true;
    while (left > 0 && whole) {
        size_t piece = left < sizeof spaces - 1 ? left : sizeof spaces - 1;
        whole = buffer_append(&file->gathered, spaces, piece);
        left -= piece;
    }
    return whole;
}

static void gather(struct trace_file *file, const char *event, size_t length)
{
    pthread_mutex_lock(&lock);
    size_t before = file->gathered.length;
    const char *separator = file->has_events ? ",\n" : "";
    if (!file->failed) {
        bool whole = buffer_append(&file->gathered, separator, strlen(separator)) &&
                     skip_to_page(file, length) && buffer_append(&file->gathered, event, length);
        file->has_events = file->has_events || whole;
        if (!whole)
            file->gathered.length = before;
    }
    if (file->gathered.length >= WRITE_BYTES)
        write_gathered(file);
    pthread_mutex_unlock(&lock);
}

void trace_event(struct trace_file *file, const char *format, ...)
{
    va_list arguments;
    char event[1024];
    va_start(arguments, format);
    int length = vsnprintf(event, sizeof event, format, arguments);
    va_end(arguments);
    if (length >= 0 && length < (int)sizeof event)
        gather(file, event, (size_t)length);
}

static char *put_text(char *to, const char *text)
{
    size_t length = strlen(text);
    memcpy(to, text, length);
    return to + length;
}

static char *put_number(char *to, uint64_t number)
{
    char digits[20];
    size_t count = 0;
    do {
        digits[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    while (count)
        *to++ = digits[--count];
    return to;
}

/* Writes a time, given in nanoseconds, as microseconds: "12.345". */
static char *put_time(char *to, uint64_t time)
{
    uint64_t fraction = time % 1000;
    to = put_number(to, time / 1000);
    *to++ = '.';
    *to++ = (char)('0' + fraction / 100);
    *to++ = (char)('0' + fraction / 10 % 10);
    *to++ = (char)('0' + fraction % 10);
    return to;
}

void trace_put(struct trace_file *file, const struct trace_span *span)
{
    char event[768], *to = event; /* the names in a span are short ones of ours */
    to = put_text(to, "{\"ph\":\"X\",\"pid\":");
    to = put_number(to, span->process);
    to = put_text(to, ",\"tid\":");
    to = put_number(to, span->row);
    to = put_text(to, ",\"ts\":");
    to = put_time(to, span->begun > file->start ? span->begun - file->start : 0);
    to = put_text(to, ",\"dur\":");
    to = put_time(to, span->ended > span->begun ? span->ended - span->begun : 0);
    to = put_text(put_text(to, ",\"cat\":\""), span->category);
    to = put_text(put_text(to, "\",\"name\":\""), span->name);
    if (span->number)
        to = put_number(put_text(to, " "), span->number);
    *to++ = '"';
    if (span->colour)
        to = put_text(put_text(put_text(to, ",\"cname\":\""), span->colour), "\"");
    for (int i = 0; i < 4 && span->details[i].key; i++) {
        to = put_text(to, i ? ",\"" : ",\"args\":{\"");
        to = put_text(put_text(to, span->details[i].key), "\":");
        to = put_number(to, span->details[i].value);
    }
    to = put_text(to, span->details[0].key ? "}}" : "}");
    gather(file, event, (size_t)(to - event));
}

void trace_look(struct trace_file *file, uint64_t now)
{
    pthread_mutex_lock(&lock);
    if (file->gathered.length && now - file->written_at > WRITE_AGE)
        write_gathered(file);
    pthread_mutex_unlock(&lock);
}

unsigned trace_number(struct trace_file *file)
{
    return ++file->last_number;
}

unsigned long long trace_microseconds(const struct trace_file *file, uint64_t now)
{
    return now > file->start ? (now - file->start) / 1000 : 0;
}

const char *trace_escape(char *to, size_t size, const char *text)
{
    size_t length = 0;
    for (; *text && length + 7 < size; text++) {
        unsigned char character = (unsigned char)*text;
        if (character == '"' || character == '\\')
            to[length++] = '\\';
        if (character < 32 || character > 126)
            character = '?';
        to[length++] = (char)character;
    }
    to[length] = '\0';
    return to;
}

/* --- a worker's part --- */

/* Publishes a record, or counts it as lost where there is no room. */
static void put(struct trace_lane *lane, const struct trace_record *record)
{
    uint64_t head = atomic_load_explicit(&lane->head, memory_order_relaxed);
    if (head - atomic_load_explicit(&lane->tail, memory_order_acquire) >= LANE_RECORDS) {
        atomic_fetch_add_explicit(&lane->lost, 1, memory_order_relaxed);
        return;
    }
    lane->records[head % LANE_RECORDS] = *record;
    atomic_store_explicit(&lane->head, head + 1, memory_order_release);
}

void lane_begin(struct trace_lane *lane, uint64_t index, uint64_t map)
{
    uint64_t now = clock_nanoseconds();
    lane->running = (struct trace_record){.index = index, .begun = now, .map = (uint32_t)map};
    atomic_store_explicit(&lane->running_since, now, memory_order_release);
}

void lane_end(struct trace_lane *lane, bool failed)
{
    struct trace_record record = lane->running;
    record.kind = failed ? SPAN_FAILED : SPAN_TASK;
    record.ended = clock_nanoseconds();
    put(lane, &record);
    atomic_store_explicit(&lane->running_since, 0, memory_order_release);
}

void lane_idle(struct trace_lane *lane, uint64_t begun, uint64_t ended)
{
    struct trace_record record = {.begun = begun, .ended = ended, .kind = SPAN_IDLE};
    if (ended - begun >= IDLE_MIN)
        put(lane, &record);
}
