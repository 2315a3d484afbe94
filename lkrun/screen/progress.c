/* Progress displays: which there are, and when each is shown. Main invariants: `live` holds the
 * displays that this process shows itself, its own before those of its workers, by worker and then
 * the oldest first, each once and none that has ended; `due`
 * is never later than the moment something of them may be shown, so that progress_set and
 * progress_tick need nothing but the clock before it. */
#include "screen/progress.h"
#include "screen/progress_display.h"
#include "screen/terminal.h"
#include "screen/terminal_stdio.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BAR_INTERVAL  (100 * MILLISECOND)
#define SINK_INTERVAL (100 * MILLISECOND)
#define JSON_INTERVAL (500 * MILLISECOND)
#define FIRST_LINE    (2000 * MILLISECOND)
#define LINE_INTERVAL (5000 * MILLISECOND)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* over all below but the thread's sink */
static struct progress *live;
static struct progress *forwarded; /* mirrors made under a sink: those of a worker's own workers */
/* How the live displays are shown, never MODE_AUTO while there is one … */
static enum show_mode mode;
static bool watched;       /* … and whether in LK_PROGRESS_DIR too */
static pid_t owner;        /* the process that shows them: a plain fork of it must not */
static uint64_t next_draw; /* of the bars */
static _Atomic uint64_t due = UINT64_MAX;
static atomic_uint generation;
static _Atomic uint64_t last_id;

static _Thread_local void (*sink)(void *context, const struct progress *progress);
static _Thread_local void *sink_context;

/* One line or record of a display. Of a worker's that was never shown the end isn't either. */
static void write_due(struct display *display, uint64_t now, bool last)
{
    bool show = !last || !display->base.worker || display->written;
    if (show && (mode == MODE_LINES || mode == MODE_JSON) && (last || now >= display->due)) {
        bar_sample(display, now);
        (mode == MODE_LINES ? show_line : show_json)(display, now);
        display->due = now + (mode == MODE_LINES ? LINE_INTERVAL : JSON_INTERVAL);
        display->base.shown = now;
        display->written = true;
    }
    if (show && watched && (last || now >= display->watch_due)) {
        watch_write(display, now);
        display->watch_due = now + JSON_INTERVAL;
        display->written = true;
    }
}

/* Under the lock: shows what is due, and says when something will be. */
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

/* Shows its last state and takes it off the list. */
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

static void send(struct display *display, uint64_t now)
{
    display->due = now + SINK_INTERVAL;
    display->base.shown = now;
    if (sink)
        sink(sink_context, &display->base);
}

struct progress *progress_open(const char *logger, const char *label, int64_t total,
                               const char *unit)
{
    struct display *display = new_display(logger, label, total, unit);
    if (!display)
        return NULL;
    display->remote = sink != NULL;
    if (display->remote)
        send(display, display->base.started);
    else
        add_live(display, display->base.started);
    return &display->base;
}

bool display_is_foreign(const struct display *display)
{
    return display->generation != atomic_load(&generation);
}

void progress_set(struct progress *progress, const struct progress_state *state)
{
    struct display *display = display_of(progress);
    if (progress->finished || display_is_foreign(display))
        return;
    uint64_t now = clock_nanoseconds();
    if (display->remote) {
        progress->state = *state;
        if (now >= display->due)
            send(display, now);
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
    if (progress->finished || display_is_foreign(display) || display->remote)
        return;
    pthread_mutex_lock(&lock);
    uint64_t now = clock_nanoseconds();
    next_draw = display->watch_due = now;
    show_due(now);
    display->watch_due = now + 2 * JSON_INTERVAL; /* two a second, this one included */
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
    if (display_is_foreign(display))
        return;
    display->ended = clock_nanoseconds();
    if (display->remote)
        send(display, display->ended);
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

void progress_set_sink(void (*to)(void *context, const struct progress *progress), void *context)
{
    sink = to;
    sink_context = context;
}

/* A display of worker `worker`: the mirror of its one with this id, or any for 0. */
static struct display *find_mirror(int worker, uint64_t id)
{
    struct display *found = NULL;
    pthread_mutex_lock(&lock);
    for (int list = 0; list < 2; list++)
        for (struct progress *each = list ? forwarded : live; each && !found; each = each->next)
            if (each->worker == worker && (id == 0 || display_of(each)->mirrored == id))
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
    display->mirrored = theirs->id;
    display->base.worker = theirs->worker;
    display->base.state = theirs->state;
    display->remote = sink != NULL;
    if (!display->remote) {
        add_live(display, display->base.started);
        return;
    }
    pthread_mutex_lock(&lock);
    display->base.next = forwarded;
    forwarded = &display->base;
    pthread_mutex_unlock(&lock);
    send(display, display->base.started);
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
