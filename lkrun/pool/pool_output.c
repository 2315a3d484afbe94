/* What workers print: their standard output and error are pipes, and only whole lines go on to the
 * program's own. A line longer than LONGEST is passed on in pieces. */
#include "pool/pool_output.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/util.h"
#include "pool/pool_state.h"
#include "screen/terminal.h"

#define LONGEST ((size_t)1 << 20) /* bytes */
/* The bytes that a pipe can hold, unless somebody has changed its size. */
#define PIPE_ROOM ((size_t)1 << 16)

static void pass_lines(struct buffer *line, int descriptor, const char *bytes, size_t length)
{
    const char *end = memrchr(bytes, '\n', length);
    size_t whole = end ? (size_t)(end - bytes) + 1 : 0;
    if (whole && line->length) {
        buffer_append(line, bytes, whole);
        terminal_write(descriptor, line->data, line->length);
        line->length = 0;
    } else if (whole) {
        terminal_write(descriptor, bytes, whole);
    }
    buffer_append(line, bytes + whole, length - whole);
    if (line->length > LONGEST) {
        terminal_write(descriptor, line->data, line->length);
        line->length = 0;
    }
}

void pool_pass_output(struct worker *worker, int which, const char *bytes, size_t length)
{
    pass_lines(&worker->unfinished_line[which], which + 1, bytes, length);
}

/* Reads what is in the pipes, but no more than a pipe can hold: a worker that prints without end
 * must not keep the host here. */
void pool_read_output(struct worker *worker)
{
    static char bytes[PIPE_ROOM]; /* only the main thread has workers with pipes */
    for (int i = 0; i < 2 && worker->output_fd[i] >= 0; i++)
        for (size_t total = 0; total < PIPE_ROOM;) {
            ssize_t got = read(worker->output_fd[i], bytes, sizeof bytes);
            if (got <= 0 && !(got < 0 && errno == EINTR))
                break;
            if (got > 0)
                pass_lines(&worker->unfinished_line[i], i + 1, bytes, (size_t)got);
            total += got > 0 ? (size_t)got : 0;
        }
}

void pool_flush_output(struct worker *worker)
{
    pool_read_output(worker);
    for (int i = 0; i < 2; i++) {
        if (!worker->unfinished_line[i].length)
            continue;
        buffer_append(&worker->unfinished_line[i], "\n", 1);
        terminal_write(i + 1, worker->unfinished_line[i].data, worker->unfinished_line[i].length);
        worker->unfinished_line[i].length = 0;
    }
}
