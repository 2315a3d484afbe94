/* Progress displays: which there are, and when each is shown.
 *
 * What always holds:
 * - `live` holds the displays that this process shows itself, each once and none that has ended:
 *   its own first, then those of its workers by the worker's number, of one worker the oldest
 *   first.
 * - `due` is never later than the moment at which one of them may be shown next, so that
 *   progress_set and progress_tick need nothing but the clock before that moment. */
#include "screen/progress.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "screen/progress_bar.h"
#include "screen/progress_display.h"
#include "screen/progress_show.h"
#include "screen/progress_watch.h"
#include "screen/terminal.h"
#include "screen/terminal_stdio.h"

#define BAR_INTERVAL  (100 * MILLISECOND)
#define CALL_INTERVAL (100 * MILLISECOND) /* between two calls of the handler for one display */
#define JSON_INTERVAL (500 * MILLISECOND)
#define FIRST_LINE    (2000 * MILLISECOND)
#define LINE_INTERVAL (5000 * MILLISECOND)

/* Protects all variables below, except those that are atomic or one per thread. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct progress *live;
/* In a worker that has workers of its own: the mirrors of their displays. This worker does not show
 * them; its handler sends them on to its parent. */
static struct progress *forwarded;
static enum show_mode mode; /* of the live displays; never MODE_AUTO while there is one */
static bool watched;        /* the live displays are written into LK_PROGRESS_DIR, too */
/* The process that shows the live displays; a plain fork() of it must not show them. */
static pid_t owner;
static uint64_t next_draw; /* when the bars may be drawn next */
static _Atomic uint64_t due = UINT64_MAX;
static atomic_uint generation; /* of this process: see struct display */
static _Atomic uint64_t last_id;

static _Thread_local void (*handler)(void *context, const struct progress *progress);
static _Thread_local void *handler_context;

/* Writes the display's line or JSON, and its record in LK_PROGRESS_DIR, where they are due; with
 * `last`, whether they are due or not. For a worker's display of which nothing was ever written,
 * nothing is written at its end either. */
static void write_due(struct display *display, uint64_t now, bool last)
{
    bool show = !last || !display->base.worker || display->was_written;
    if (show && (mode == MODE_LINES || mode == MODE_JSON) && (last || now >= display->due)) {
        bar_sample(display, now);
        (mode == MODE_LINES ? show_line : show_json)(display, now);
        display->due = now + (mode == MODE_LINES ? LINE_INTERVAL : JSON_INTERVAL);
        display->base.shown = now;
        display->was_written = true;
    }
    if (show && watched && (last || now >= display->watch_due)) {
        watch_write(display, now);
        display->watch_due = now + JSON_INTERVAL;
        display->was_written = true;
    }
}

/* Under the lock: shows what is due, and sets `due` to the next time. */
static void show_due(uint64_t now)
{
    if (live && getpid() != owner)
        live = NULL;
    uint64_t next = UINT64_MAX;
    if (live && mode == MODE_BAR) {
        if (now >= next_draw) {
            show_bars(live, now);
            next_draw = now + BAR_INTERVAL;
        }
        next = next_draw;
    }
    for (struct progress *each = live; each; each = each->next) {
        struct display *display = display_of(each);
        write_due(display, now, false);
        if ((mode == MODE_LINES || mode == MODE_JSON) && display->due < next)
            next = display->due;
        if (watched && display->watch_due < next)
            next = display->watch_due;
    }
    atomic_store(&due, next);
}

static void add_live(struct display *display, uint64_t now)
{
    pthread_mutex_lock(&lock);
    if (live && getpid() != owner)
        live = NULL;
    if (!live) {
        owner = getpid();
        mode = show_choose_mode();
        watched = watch_is_on();
        if (mode == MODE_BAR)
            stdio_capture();
    }
    struct progress **at = &live;
    while (*at && (*at)->worker <= display->base.worker)
        at = &(*at)->next;
    display->base.next = *at;
    *at = &display->base;
    uint64_t wait = display->base.worker ? MIRROR_DELAY : 0;
    display->due = now + (mode == MODE_LINES ? FIRST_LINE : wait);
    display->watch_due = now + wait;
    next_draw = now;
    show_due(now);
    pthread_mutex_unlock(&lock);
}

/* Shows the display's last state and takes it off the list of live ones. */
static void remove_live(struct display *display, uint64_t now)
{
    pthread_mutex_lock(&lock);
    struct progress **at = &live;
    while (*at && *at != &display->base)
        at = &(*at)->next;
    if (*at && getpid() == owner) {
        *at = display->base.next;
        write_due(display, now, true);
        if (mode == MODE_BAR) {
            show_bars(live, now);
            next_draw = now + BAR_INTERVAL;
            if (!display->base.worker)
                show_last_bar(display, now);
            if (!live)
                stdio_release();
        }
        if (!live)
            atomic_store(&due, UINT64_MAX);
    }
    pthread_mutex_unlock(&lock);
}

static void free_display(struct display *display)
{
    if (display) {
        free(display->base.logger);
        free(display->base.label);
        free(display->base.unit);
    }
    free(display);
}

static bool copy_text(char **to, const char *text)
{
    *to = text ? strdup(text) : NULL;
    return !text || *to;
}

static struct display *new_display(const char *logger, const char *label, int64_t total,
                                   const char *unit)
{
    struct display *display = calloc(1, sizeof *display);
    if (!display)
        return NULL;
    struct progress *progress = &display->base;
    if (!copy_text(&progress->logger, logger) || !copy_text(&progress->label, label) ||
        !copy_text(&progress->unit, unit)) {
        free_display(display);
        return NULL;
    }
    progress->id = atomic_fetch_add(&last_id, 1) + 1;
    progress->total = total;
    progress->started = clock_nanoseconds();
    display->sampled = progress->started;
    display->generation = atomic_load(&generation);
    return display;
}

static void forward(struct display *display, uint64_t now)
{
    display->due = now + CALL_INTERVAL;
    display->base.shown = now;
    if (handler)
        handler(handler_context, &display->base);
}

struct progress *progress_open(const char *logger, const char *label, int64_t total,
                               const char *unit)
{
    struct display *display = new_display(logger, label, total, unit);
    if (!display)
        return NULL;
    display->is_forwarded = handler != NULL;
    if (display->is_forwarded)
        forward(display, display->base.started);
    else
        add_live(display, display->base.started);
    return &display->base;
}

bool progress_is_foreign(const struct progress *progress)
{
    return ((const struct display *)progress)->generation != atomic_load(&generation);
}

void progress_set(struct progress *progress, const struct progress_state *state)
{
    struct display *display = display_of(progress);
    if (progress->finished || progress_is_foreign(progress))
        return;
    uint64_t now = clock_nanoseconds();
    if (display->is_forwarded) {
        progress->state = *state;
        if (now >= display->due)
            forward(display, now);
        return;
    }
    pthread_mutex_lock(&lock);
    progress->state = *state;
    if (now >= atomic_load(&due))
        show_due(now);
    pthread_mutex_unlock(&lock);
}

void progress_set_ahead(struct progress *progress, const struct progress_state *state)
{
    progress_set(progress, state);
    struct display *display = display_of(progress);
    if (progress->finished || progress_is_foreign(progress) || display->is_forwarded)
        return;
    pthread_mutex_lock(&lock);
    uint64_t now = clock_nanoseconds();
    next_draw = display->watch_due = now;
    show_due(now);
    /* This record came early, so the next one waits for two intervals: on average there are no more
     * than two records a second. */
    display->watch_due = now + 2 * JSON_INTERVAL;
    pthread_mutex_unlock(&lock);
}

int progress_tick(void)
{
    uint64_t next = atomic_load(&due);
    if (next == UINT64_MAX)
        return -1;
    uint64_t now = clock_nanoseconds();
    if (now >= next) {
        pthread_mutex_lock(&lock);
        show_due(now);
        pthread_mutex_unlock(&lock);
        next = atomic_load(&due);
    }
    return next == UINT64_MAX ? -1
           : next <= now      ? 0
                              : (int)((next - now + MILLISECOND - 1) / MILLISECOND);
}

void progress_finish(struct progress *progress)
{
    struct display *display = display_of(progress);
    if (progress->finished)
        return;
    progress->finished = true;
    if (progress_is_foreign(progress))
        return;
    display->ended = clock_nanoseconds();
    if (display->is_forwarded)
        forward(display, display->ended);
    else
        remove_live(display, display->ended);
}

void progress_free(struct progress *progress)
{
    if (!progress)
        return;
    progress_finish(progress);
    free_display(display_of(progress));
}

void progress_clear(void)
{
    terminal_clear();
}

void progress_enter_worker(void)
{
    pthread_mutex_init(&lock, NULL);
    atomic_fetch_add(&generation, 1);
    live = forwarded = NULL;
    atomic_store(&due, UINT64_MAX);
    terminal_enter_worker();
    stdio_enter_worker();
    watch_enter_worker();
}

void progress_set_handler(void (*handle)(void *context, const struct progress *progress),
                          void *context)
{
    handler = handle;
    handler_context = context;
}

/* Finds the mirror of one of this worker's displays: of the one that has this id in the worker;
 * with id 0, of any. NULL: there is none. */
static struct display *find_mirror(int worker, uint64_t id)
{
    struct display *found = NULL;
    pthread_mutex_lock(&lock);
    for (int list = 0; list < 2; list++)
        for (struct progress *each = list ? forwarded : live; each && !found; each = each->next)
            if (each->worker == worker && (id == 0 || display_of(each)->mirrored_id == id))
                found = display_of(each);
    pthread_mutex_unlock(&lock);
    return found;
}

static void open_mirror(const struct progress *theirs)
{
    struct display *display =
        new_display(theirs->logger, theirs->label, theirs->total, theirs->unit);
    if (!display)
        return;
    display->mirrored_id = theirs->id;
    display->base.worker = theirs->worker;
    display->base.state = theirs->state;
    display->is_forwarded = handler != NULL;
    if (!display->is_forwarded) {
        add_live(display, display->base.started);
        return;
    }
    pthread_mutex_lock(&lock);
    display->base.next = forwarded;
    forwarded = &display->base;
    pthread_mutex_unlock(&lock);
    forward(display, display->base.started);
}

static void free_mirror(struct display *display)
{
    pthread_mutex_lock(&lock);
    struct progress **at = &forwarded;
    while (*at && *at != &display->base)
        at = &(*at)->next;
    if (*at)
        *at = display->base.next;
    pthread_mutex_unlock(&lock);
    progress_free(&display->base);
}

void progress_mirror(const struct progress *theirs)
{
    struct display *ours = find_mirror(theirs->worker, theirs->id);
    if (!ours && !theirs->finished) {
        open_mirror(theirs);
    } else if (ours) {
        progress_set(&ours->base, &theirs->state);
        if (theirs->finished)
            free_mirror(ours);
    }
}

void progress_drop_worker(int worker)
{
    struct display *ours;
    while (worker > 0 && (ours = find_mirror(worker, 0)))
        free_mirror(ours);
}

void progress_install(lua_State *L)
{
    stdio_install(L);
}
