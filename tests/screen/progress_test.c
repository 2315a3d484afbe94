/* Displays between processes, and around the output of several threads, on a pseudo-terminal. */
/* runs under: valgrind */
#include "screen/log.h"
#include "screen/progress.h"
#include "screen/terminal.h"
#include "base/util.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE UINT64_C(60000000000)

static int tests, failures;

static void check(bool holds, const char *name)
{
    tests++;
    failures += !holds;
    printf("%s %d - %s\n", holds ? "ok" : "not ok", tests, name);
    fflush(stdout);
}

/* What was written to the pseudo-terminal since `seen` was last emptied. */
static int master;
static struct buffer seen;

static void open_terminal(void)
{
    master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (master < 0 || grantpt(master) || unlockpt(master))
        abort();
    int slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
    struct winsize size = {.ws_row = 24, .ws_col = 80};
    if (slave < 0 || ioctl(slave, TIOCSWINSZ, &size) || dup2(slave, STDERR_FILENO) < 0)
        abort();
    close(slave);
    setenv("TERM", "xterm", 1);
    setenv("LANG", "C", 1);
    unsetenv("LC_ALL");
    unsetenv("LC_CTYPE");
    unsetenv("LK_PROGRESS");
    unsetenv("LK_PROGRESS_DIR");
    unsetenv("LK_LOG_LEVEL");
}

/* Reads what there is, waiting `milliseconds` for the first of it. */
static void read_terminal(int milliseconds)
{
    char bytes[4096];
    struct pollfd readable = {.fd = master, .events = POLLIN};
    while (poll(&readable, 1, milliseconds) > 0) {
        ssize_t length = read(master, bytes, sizeof bytes);
        if (length <= 0 || !buffer_append(&seen, bytes, (size_t)length))
            break;
        milliseconds = 0;
    }
    if (!buffer_reserve(&seen, 1))
        abort();
    seen.data[seen.length] = '\0';
}

/* Whether `second` comes behind the first `part`; waits for it, as it may come after `part`. */
static bool expect_behind(const char *part, const char *second)
{
    uint64_t end = clock_nanoseconds() + PATIENCE;
    do
        read_terminal(20);
    while (!strstr(strstr(seen.data, part), second) && clock_nanoseconds() < end);
    return strstr(strstr(seen.data, part), second);
}

static const char *last_of(const char *text, const char *part)
{
    const char *last = NULL;
    for (const char *at = text; (at = strstr(at, part)); at++)
        last = at;
    return last;
}

static bool expect(const char *part)
{
    uint64_t end = clock_nanoseconds() + PATIENCE;
    do {
        progress_tick();
        read_terminal(20);
    } while (!strstr(seen.data, part) && clock_nanoseconds() < end);
    return strstr(seen.data, part);
}

static struct progress received[64];
static int messages;

static void receive(void *context, const struct progress *progress)
{
    if (messages < 64)
        received[messages] = *progress;
    ++*(int *)context;
}

static void test_handler(void)
{
    uint64_t start = clock_nanoseconds();
    progress_set_handler(receive, &messages);
    struct progress *progress = progress_open("train", "inner", 1000, NULL);
    check(messages == 1 && received[0].total == 1000 && !received[0].finished,
          "a handler gets a new display");
    for (uint64_t i = 1; i <= 1000; i++)
        progress_set(progress, &(struct progress_state){.finished = i});
    uint64_t tenths = (clock_nanoseconds() - start) / 100000000;
    check(messages <= 1 + (int)tenths, "… ten states a second at most");
    progress_finish(progress);
    progress_finish(progress);
    const struct progress *last = &received[messages < 64 ? messages - 1 : 63];
    check(last->finished && last->state.finished == 1000 && last->id == received[0].id,
          "… and its end, once");
    check(progress_tick() == -1, "nothing is drawn where there is a handler");
    progress_free(progress);
    progress_set_handler(NULL, NULL);
}

static void test_nested_handler(void)
{
    struct progress theirs = {.id = 7, .worker = 1, .label = "inner", .total = 10};
    messages = 0;
    progress_set_handler(receive, &messages);
    progress_mirror(&theirs);
    theirs.worker = 2;
    progress_mirror(&theirs);
    check(messages == 2 && received[0].id != received[1].id && !received[1].finished,
          "displays of a worker's own workers go on to its parent");
    theirs.finished = true;
    progress_mirror(&theirs);
    check(messages == 3 && received[2].id == received[1].id && received[2].finished,
          "... and end there");
    progress_drop_worker(1);
    check(messages == 4 && received[3].id == received[0].id && received[3].finished,
          "... with their worker too");
    progress_set_handler(NULL, NULL);
    check(progress_tick() == -1, "... and none is drawn here");
}

static void test_mirror(void)
{
    struct progress theirs = {.id = 7, .worker = 2, .label = "inner", .total = 10};
    struct progress *ours = progress_open(NULL, "outer", 4, NULL);
    progress_mirror(&theirs);
    theirs.state.finished = 5;
    progress_mirror(&theirs);
    check(expect("worker 2: inner  50%"), "a worker's display is shown under ours");
    const char *at = last_of(seen.data, "worker 2: inner");
    check(at && at > last_of(seen.data, "outer"), "… in that order");
    seen.length = 0;
    theirs.finished = true;
    progress_mirror(&theirs);
    progress_set(ours, &(struct progress_state){.finished = 1});
    check(expect("outer  25%") && !strstr(last_of(seen.data, "outer"), "inner"),
          "… and goes when it ends");

    theirs = (struct progress){.id = 8, .worker = 2, .label = "first", .total = 10};
    progress_mirror(&theirs);
    theirs = (struct progress){.id = 9, .worker = 2, .label = "second", .total = 10};
    progress_mirror(&theirs);
    theirs.worker = 3;
    progress_mirror(&theirs);
    check(expect("worker 3: second") && strstr(seen.data, "worker 2: first"),
          "every worker has its own");
    seen.length = 0;
    progress_drop_worker(2);
    progress_set(ours, &(struct progress_state){.finished = 2});
    static const char padded[] = "outer             50%";
    bool drawn = expect(padded);
    check(drawn, "a worker that dies …");
    check(drawn && expect_behind(padded, "worker 3") &&
              !strstr(strstr(seen.data, padded), "worker 2"),
          "… takes its displays along, and no other");
    progress_drop_worker(3);
    progress_free(ours);
    check(progress_tick() == -1, "nothing is left to draw");
    seen.length = 0;
}

static void test_worker(void)
{
    static struct progress *ours; /* where memcheck finds it at the end of the child */
    ours = progress_open(NULL, "outer", 4, NULL);
    check(expect("outer   0%"), "a display of the parent");
    seen.length = 0;
    pid_t child = fork();
    if (child == 0) {
        progress_enter_worker();
        progress_set(ours, &(struct progress_state){.finished = 3});
        bool quiet = progress_tick() == -1;
        progress_clear();
        log_message(LOG_LEVEL_WARN, "from a worker");
        progress_finish(ours);
        _exit(quiet ? 0 : 1);
    }
    int status;
    waitpid(child, &status, 0);
    check(status == 0 && expect_behind("", "from a worker") && !strstr(seen.data, "outer"),
          "… is not drawn by a worker");
    seen.length = 0;
    progress_set(ours, &(struct progress_state){.finished = 1});
    check(expect("outer  25%"), "… but by the parent, on");
    progress_free(ours);
    seen.length = 0;
}

#define LINES 300

static void *write_lines(void *argument)
{
    char line[64];
    for (int i = 0; i < LINES; i++) {
        int length = snprintf(line, sizeof line, "<%s %d>\n", (const char *)argument, i);
        if (i % 2)
            terminal_write(STDERR_FILENO, line, (size_t)length);
        else
            log_message(LOG_LEVEL_WARN, "<%s %d>", (const char *)argument, i);
    }
    return NULL;
}

static atomic_bool lines_are_done;

static void *move_display(void *argument)
{
    for (uint64_t done = 0; !atomic_load(&lines_are_done); done++)
        progress_set(argument, &(struct progress_state){.finished = done % LINES});
    return NULL;
}

/* This thread only reads: it must never wait for room in the terminal. */
static void test_threads(void)
{
    static char *names[] = {"one", "two"};
    pthread_t threads[2], mover;
    struct progress *ours = progress_open(NULL, "outer", LINES, NULL);
    for (int i = 0; i < 2; i++)
        if (pthread_create(&threads[i], NULL, write_lines, names[i]))
            abort();
    if (pthread_create(&mover, NULL, move_display, ours))
        abort();
    bool all = false;
    uint64_t end = clock_nanoseconds() + PATIENCE;
    while (!all && clock_nanoseconds() < end) {
        read_terminal(20);
        all = strstr(seen.data, "<one 299>\r\n") && strstr(seen.data, "<two 299>\r\n");
    }
    atomic_store(&lines_are_done, true);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    pthread_join(mover, NULL);
    progress_free(ours);
    int whole = 0;
    for (int thread = 0; thread < 2; thread++) {
        const char *at = seen.data;
        char line[64];
        for (int i = 0; i < LINES && at; i++) {
            snprintf(line, sizeof line, "<%s %d>\r\n", names[thread], i);
            at = strstr(at, line);
            whole += at != NULL;
        }
    }
    check(whole == 2 * LINES, "lines of two threads come whole and in order around a bar");
}

int main(void)
{
    open_terminal();
    if (!buffer_reserve(&seen, 1))
        abort();
    seen.data[0] = '\0';
    test_handler();
    test_nested_handler();
    test_mirror();
    test_worker();
    test_threads();
    buffer_free(&seen);
    printf("1..%d\n", tests);
    return failures != 0;
}
