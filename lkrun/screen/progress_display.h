/* A display as the files that show it see it: progress.c keeps it, progress_show.c shows it on the
 * screen as the text that progress_bar.c makes of it, progress_watch.c writes it for programs. */
#ifndef LKRUN_PROGRESS_DISPLAY_H
#define LKRUN_PROGRESS_DISPLAY_H

#include "screen/progress.h"

#define MILLISECOND UINT64_C(1000000) /* in nanoseconds */
/* A worker's display that lives for less than this gets no line on the screen. In nanoseconds. */
#define MIRROR_DELAY (200 * MILLISECOND)

struct display {
    struct progress base; /* first: every struct progress is the head of a display */
    unsigned generation;  /* of the process that made it: counted up in every new worker */
    bool is_forwarded;    /* a handler gets it, and so the parent shows it, not this process */
    uint64_t mirrored_id; /* id of the worker's display that it mirrors; 0: it mirrors none */
    uint64_t ended;       /* clock_nanoseconds; 0: not yet */
    uint64_t due;         /* when its next line, record or message may be written */
    uint64_t watch_due;   /* when its next record may be written into LK_PROGRESS_DIR */
    bool was_written;     /* a line or record of it has been written */

    /* For the rate: sums of finished tasks and of seconds, in which the past weighs the less the
     * longer ago it is; so their quotient is the rate of the last seconds. */
    double recent_tasks, recent_seconds;
    uint64_t sampled;       /* when these two were last brought up to date */
    uint64_t sampled_tasks; /* tasks that had finished then */
};

static inline struct display *display_of(struct progress *progress)
{
    return (struct display *)progress;
}

#endif
