/* A display as its own files see it: progress.c keeps it, progress_show.c shows it by what
 * progress_bar.c makes of it, progress_watch.c writes it for programs. */
#ifndef LKRUN_PROGRESS_DISPLAY_H
#define LKRUN_PROGRESS_DISPLAY_H

#include "screen/progress.h"
#include "base/util.h"

struct display {
    struct progress base; /* first: every struct progress of ours is the head of one of these */
    unsigned generation;  /* of the process that made it: counted up in every new worker */
    bool remote;          /* made under a sink: the parent shows it */
    uint64_t mirrored;    /* of which display of its worker it is the mirror, by id; 0: none */
    uint64_t ended;       /* clock_nanoseconds; 0: not yet */
    uint64_t due;         /* when its next line, record or message may be written */
    uint64_t watch_due;   /* the same for LK_PROGRESS_DIR */
    bool written;         /* a line or record of it has been written */
    /* The rate: tasks and seconds, the older the lighter, so that their quotient is the mean of the
     * last seconds. */
    double recent_tasks, recent_seconds;
    uint64_t sampled;       /* when they were last brought up to date … */
    uint64_t sampled_tasks; /* … and how many had finished then */
};

static inline struct display *display_of(struct progress *progress)
{
    return (struct display *)progress;
}

/* progress.c: made by a process that this one was forked from. */
bool display_is_foreign(const struct display *display);

/* progress_show.c */
#define MILLISECOND UINT64_C(1000000)
/* A worker's display that ends sooner is not worth a line on the screen. */
#define MIRROR_DELAY (200 * MILLISECOND)
enum show_mode { MODE_AUTO, MODE_BAR, MODE_LINES, MODE_JSON, MODE_NONE };
enum show_mode show_choose_mode(void); /* as LK_PROGRESS says; never MODE_AUTO */
/* The bars of this list, instead of those that are on the terminal. */
void show_bars(struct progress *first, uint64_t now);
/* What stays on the screen of a display that has ended. */
void show_last_bar(struct display *display, uint64_t now);
void show_line(struct display *display, uint64_t now); /* as a message of the log */
void show_json(struct display *display, uint64_t now);

/* progress_bar.c */
struct bar_style {
    int columns; /* that a line may take */
    bool utf8;
    bool colour;
    /* Of bars that stand below each other: columns that labels are padded to, and cells that no bar
     * has more of. 0: as each of them needs. */
    int label;
    int cells;
};
void bar_sample(struct display *display, uint64_t now); /* brings the rate up to date */
/* Makes room in the style for this one beside those that it was called for before: for each of them
 * bar_fit_label first, then bar_fit_cells. */
void bar_fit_label(struct bar_style *style, const struct display *display, uint64_t now);
void bar_fit_cells(struct bar_style *style, const struct display *display, uint64_t now);
bool bar_draw(struct buffer *out, const struct display *display, uint64_t now,
              const struct bar_style *style);
/* The same as a sentence for a log: "users: 450/1000 tasks (45%), 12 running, 12.3/s, 1:05 left".
 */
bool bar_describe(struct buffer *out, const struct display *display, uint64_t now);

/* progress_watch.c */
char *watch_json(const struct display *display,
                 uint64_t now); /* one line, to be freed; NULL: no memory */
bool watch_is_on(void);         /* LK_PROGRESS_DIR is set */
void watch_write(const struct display *display, uint64_t now);
void watch_enter_worker(void);

#endif
