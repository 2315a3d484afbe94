/* A display as its own files see it: progress.c keeps it, progress_bar.c draws it, progress_watch.c
 * writes it for programs. */
#ifndef LKRUN_PROGRESS_DISPLAY_H
#define LKRUN_PROGRESS_DISPLAY_H

#include "progress.h"
#include "util.h"

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

/* progress.c: made by a process that this one was forked from. */
bool display_is_foreign(const struct display *display);

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
