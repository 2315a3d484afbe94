/* A display as text: a bar of one line, or a sentence. */
#ifndef LKRUN_PROGRESS_BAR_H
#define LKRUN_PROGRESS_BAR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/util.h"
#include "screen/progress_display.h"

struct bar_style {
    int columns; /* that a line may take */
    bool utf8;
    bool colour;
    /* For bars that stand below each other, so that they are aligned; 0: each bar takes what it
     * needs. */
    int label_columns; /* that every label is padded to */
    int most_cells;    /* that a bar may have */
};

/* Brings the display's rate up to date. */
void bar_sample(struct display *display, uint64_t now);
/* For bars that stand below each other, so that they begin and end in the same columns:
 * bar_fit_label is called for each of the displays, then bar_fit_cells for each of them. The first
 * widens the column of labels to hold this display's label, the second shortens the bars to what
 * the other parts of this display leave. */
void bar_fit_label(struct bar_style *style, const struct display *display, uint64_t now);
void bar_fit_cells(struct bar_style *style, const struct display *display, uint64_t now);
/* Appends the display as a line without its newline. False: out of memory. */
bool bar_draw(struct buffer *out, const struct display *display, uint64_t now,
              const struct bar_style *style);
/* Appends it as a sentence: "users: 450/1000 tasks (45%), 12 running, 12.3/s, 1:05 left". */
bool bar_describe(struct buffer *out, const struct display *display, uint64_t now);

#endif
