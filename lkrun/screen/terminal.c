/* Main invariant: while `on_screen`, the cursor stands in the first column of the first of the
 * drawn lines, and nothing of the program's stands below it. So "carriage return, erase to the end
 * of the screen" removes the lines whatever happened to the terminal's width meanwhile, and does so
 * from a signal handler, too. `on_screen` is set before the lines are written and cleared after
 * they are erased: to erase once too often at the start of a line does no harm. */
#include "screen/terminal.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include <lauxlib.h>

#include "base/util.h"

/* After other output the drawn lines are put back at once, but not more than once in this time;
 * otherwise the next drawing brings them back. In nanoseconds. */
#define RESTORE_INTERVAL 10000000u
/* After output to a pipe, nothing is drawn for so long: its reader may write what it reads to the
 * same terminal (`lkrun x.lua | tee log`). In nanoseconds. */
#define PIPE_INTERVAL 100000000u

static const char erase[] = "\r\033[J";

/* Protects all variables below, except the atomic ones. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_bool on_screen;
static atomic_int lost;       /* errno of the first write to standard output that failed; 0: none */
static struct buffer drawing; /* bytes that draw the lines and put the cursor back on the first */
static bool mid_line;        /* the program's last output to the terminal ended without a newline */
static uint64_t restored_at; /* when the lines were last put back after other output */
static uint64_t draw_not_before; /* time before which nothing is drawn, see PIPE_INTERVAL */

bool terminal_is_smart(int descriptor)
{
    const char *term = getenv("TERM");
    return term && *term && strcmp(term, "dumb") != 0 && isatty(descriptor);
}

bool terminal_has_colour(int descriptor)
{
    const char *no_color = getenv("NO_COLOR");
    return !(no_color && *no_color) && terminal_is_smart(descriptor);
}

bool terminal_is_utf8(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = getenv(names[i]);
        if (value && *value)
            return strcasestr(value, "UTF-8") || strcasestr(value, "UTF8");
    }
    return false;
}

void terminal_size(int descriptor, int *columns, int *rows)
{
    struct winsize size;
    bool known = ioctl(descriptor, TIOCGWINSZ, &size) == 0;
    *columns = known && size.ws_col ? size.ws_col : 80;
    *rows = known && size.ws_row ? size.ws_row : 24;
}

/* Writes the parts with one call, and with one more what the descriptor has not taken, so that
 * another process's output comes between them as seldom as can be. Changes `part`. */
static bool write_parts(int descriptor, struct iovec *part, int count)
{
    while (count > 0) {
        ssize_t written = writev(descriptor, part, count);
        if (written < 0 && errno == EAGAIN)
            poll(&(struct pollfd){.fd = descriptor, .events = POLLOUT}, 1, -1);
        else if (written < 0 && errno != EINTR)
            return false;
        size_t taken = written > 0 ? (size_t)written : 0;
        for (; count > 0 && taken >= part->iov_len; part++, count--)
            taken -= part->iov_len;
        if (count > 0) {
            part->iov_base = (char *)part->iov_base + taken;
            part->iov_len -= taken;
        }
    }
    return true;
}

bool terminal_write_unlocked(int descriptor, const char *bytes, size_t length)
{
    struct iovec part = {.iov_base = (char *)bytes, .iov_len = length};
    return length == 0 || write_parts(descriptor, &part, 1);
}

/* Writes above the drawn lines. The same call puts those back, unless that happened less than
 * RESTORE_INTERVAL ago or the output does not end with a newline. */
static bool write_above(int descriptor, const char *bytes, size_t length)
{
    struct iovec part[3];
    int count = 0;
    uint64_t now = clock_nanoseconds();
    mid_line = bytes[length - 1] != '\n';
    bool restore = drawing.length && !mid_line && now - restored_at >= RESTORE_INTERVAL;
    if (atomic_load(&on_screen))
        part[count++] = (struct iovec){(char *)erase, sizeof erase - 1};
    part[count++] = (struct iovec){(char *)bytes, length};
    if (restore) {
        part[count++] = (struct iovec){drawing.data, drawing.length};
        restored_at = now;
        atomic_store(&on_screen, true);
    }
    bool written = write_parts(descriptor, part, count);
    if (!restore)
        atomic_store(&on_screen, false);
    return written;
}

bool terminal_try_write(int descriptor, const char *bytes, size_t length)
{
    bool written;
    struct stat status;
    if (length == 0)
        return true;
    pthread_mutex_lock(&lock);
    if (isatty(descriptor)) {
        written = write_above(descriptor, bytes, length);
    } else {
        if (atomic_load(&on_screen) && fstat(descriptor, &status) == 0 &&
            S_ISFIFO(status.st_mode)) {
            terminal_clear();
            draw_not_before = clock_nanoseconds() + PIPE_INTERVAL;
        }
        written = terminal_write_unlocked(descriptor, bytes, length);
    }
    pthread_mutex_unlock(&lock);
    return written;
}

void terminal_write(int descriptor, const char *bytes, size_t length)
{
    int none = 0;
    if (!terminal_try_write(descriptor, bytes, length) && descriptor == STDOUT_FILENO)
        atomic_compare_exchange_strong(&lost, &none, errno ? errno : EIO);
}

int terminal_write_error(void)
{
    return lost;
}

/* Whether lines may be drawn now: not in a background job, whose bar would spoil what the
 * foreground shows, and not while the terminal is held (Ctrl-S), where the write would wait. */
static bool may_draw(void)
{
    pid_t foreground = tcgetpgrp(STDERR_FILENO);
    struct pollfd terminal = {.fd = STDERR_FILENO, .events = POLLOUT};
    return !mid_line && clock_nanoseconds() >= draw_not_before &&
           (foreground < 0 || foreground == getpgrp()) && poll(&terminal, 1, 0) == 1 &&
           (terminal.revents & POLLOUT);
}

/* Puts the bytes that draw these lines into `drawing`. No line wraps, because wrapping is switched
 * off meanwhile, and at the end the cursor is back on the first line. */
static bool compose(const char *lines, size_t length)
{
    int below = 0;
    drawing.length = 0;
    bool done = buffer_printf(&drawing, "\033[?7l");
    for (const char *line = lines, *end = lines + length; done && line < end;) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        size_t width = (size_t)((stop ? stop : end) - line);
        done = buffer_append(&drawing, line, width) && (!stop || buffer_append(&drawing, "\n", 1));
        below += stop != NULL;
        line += width + (stop != NULL);
    }
    done = done && buffer_printf(&drawing, "\033[?7h\r") &&
           (below == 0 || buffer_printf(&drawing, "\033[%dA", below));
    if (!done)
        drawing.length = 0;
    return done;
}

/* Registers terminal_clear with atexit, so that a program that ends without finishing its displays
 * leaves no half of a bar behind. */
static void clear_at_exit(void)
{
    static bool registered;
    if (!registered)
        atexit(terminal_clear);
    registered = true;
}

void terminal_draw(const char *lines, size_t length)
{
    pthread_mutex_lock(&lock);
    struct buffer before = drawing;
    drawing = (struct buffer){0};
    if (length == 0 || !compose(lines, length)) {
        terminal_clear();
    } else if (may_draw()) {
        bool same = drawing.length == before.length &&
                    memcmp(drawing.data, before.data, before.length) == 0;
        struct iovec part[2] = {{(char *)erase, sizeof erase - 1}, {drawing.data, drawing.length}};
        clear_at_exit();
        if (!atomic_exchange(&on_screen, true) || !same)
            write_parts(STDERR_FILENO, part, 2);
    }
    buffer_free(&before);
    pthread_mutex_unlock(&lock);
}

void terminal_leave(const char *line, size_t length)
{
    pthread_mutex_lock(&lock);
    if (mid_line)
        write_above(STDERR_FILENO, "\n", 1);
    write_above(STDERR_FILENO, line, length);
    pthread_mutex_unlock(&lock);
}

void terminal_line_is_new(void)
{
    pthread_mutex_lock(&lock);
    mid_line = false;
    pthread_mutex_unlock(&lock);
}

void terminal_clear(void)
{
    int saved = errno;
    if (atomic_exchange(&on_screen, false))
        terminal_write_unlocked(STDERR_FILENO, erase, sizeof erase - 1);
    errno = saved;
}

void terminal_enter_worker(void)
{
    pthread_mutex_init(&lock, NULL);
    atomic_store(&on_screen, false);
    buffer_free(&drawing);
    mid_line = false;
    restored_at = draw_not_before = 0;
}

/* --- for Lua: the shape of standard output --- */

static int columns(lua_State *L)
{
    int width, rows;
    terminal_size(STDOUT_FILENO, &width, &rows);
    lua_pushinteger(L, width);
    return 1;
}

static int is_utf8(lua_State *L)
{
    lua_pushboolean(L, terminal_is_utf8());
    return 1;
}

int luaopen_lkrun_core_terminal(lua_State *L);
int luaopen_lkrun_core_terminal(lua_State *L)
{
    static const luaL_Reg functions[] = {{"columns", columns}, {"is_utf8", is_utf8}, {NULL, NULL}};
    luaL_newlib(L, functions);
    return 1;
}
