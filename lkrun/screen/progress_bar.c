/* A bar never takes more columns than its style allows. It is made of parts; on a narrow
 * terminal the parts that are needed least are left out first, then the bar itself, then the end
 * of the label. */
#include "screen/progress_bar.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* The rate is an average in which what happened RATE_SECONDS ago counts about a third of what
 * happens now. Where tasks are long, the time that RATE_TASKS of them take stands in place of
 * RATE_SECONDS: otherwise the rate would jump at the end of each task and fade until the next. */
#define RATE_SECONDS 10.0
#define RATE_TASKS   8
/* Cells of a bar, at least and at most. */
#define BAR_LEAST 8
#define BAR_MOST  40

void bar_sample(struct display *display, uint64_t now)
{
    double seconds = (double)(now - display->sampled) * 1e-9;
    uint64_t finished = display->base.state.finished;
    double tasks =
        finished > display->sampled_tasks ? (double)(finished - display->sampled_tasks) : 0;
    double memory = RATE_SECONDS;
    if (finished) {
        double task = (double)(now - display->base.started) * 1e-9 / (double)finished;
        memory = fmax(memory, RATE_TASKS * task);
    }
    double kept = exp(-seconds / memory);
    /* The tasks that finished since the last sample are not all new: on average they have lost
     * weight by this factor. So the rate does not depend on how often it is sampled. */
    double aged = seconds > 0 ? memory * (1 - kept) / seconds : 1;
    display->recent_tasks = display->recent_tasks * kept + tasks * aged;
    display->recent_seconds = display->recent_seconds * kept + seconds * aged;
    display->sampled = now;
    display->sampled_tasks = finished;
}

static double elapsed_seconds(const struct display *display, uint64_t now)
{
    uint64_t until = display->ended ? display->ended : now;
    return (double)(until - display->base.started) * 1e-9;
}

/* Tasks a second: recently, or over the whole time once the display has ended. 0: none finished. */
static double rate(const struct display *display, uint64_t now)
{
    double seconds = display->ended ? elapsed_seconds(display, now) : display->recent_seconds;
    double tasks = display->ended ? (double)display->base.state.finished : display->recent_tasks;
    return seconds > 0 ? tasks / seconds : 0;
}

/* "450", "12.3k": counts of 10,000 and more (bytes: 1024 and more) have three significant digits
 * and a prefix. Prefixes of bytes are powers of 1024. */
static void format_count(char *text, size_t size, double count, bool bytes)
{
    static const char *const decimal[] = {"", "k", "M", "G", "T", "P", "E"};
    static const char *const binary[] = {"", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"};
    double step = bytes ? 1024 : 1000;
    int prefix = 0;
    if (count >= (bytes ? 1024 : 10000))
        /* 0.9995: a count that rounds to a whole step gets the next prefix. */
        while (prefix < 6 && count >= step * 0.9995) {
            count /= step;
            prefix++;
        }
    int digits = prefix == 0 ? 0 : count < 9.995 ? 2 : count < 99.95 ? 1 : 0;
    snprintf(text, size, "%.*f%s%s", digits, count, (bytes ? binary : decimal)[prefix],
             bytes ? "B" : "");
}

static void format_time(char *text, size_t size, double seconds)
{
    uint64_t whole = seconds < 1e15 ? (uint64_t)seconds : 0;
    uint64_t minutes = whole / 60, hours = minutes / 60, days = hours / 24;
    if (days >= 100)
        snprintf(text, size, "%" PRIu64 " days", days);
    else if (days > 0)
        snprintf(text, size, "%" PRIu64 "d %02d:%02d", days, (int)(hours % 24),
                 (int)(minutes % 60));
    else if (hours > 0)
        snprintf(text, size, "%d:%02d:%02d", (int)hours, (int)(minutes % 60), (int)(whole % 60));
    else
        snprintf(text, size, "%d:%02d", (int)minutes, (int)(whole % 60));
}

static bool counts_bytes(const struct progress *progress)
{
    return progress->unit &&
           (strcmp(progress->unit, "B") == 0 || strcasecmp(progress->unit, "bytes") == 0);
}

static void format_rate(char *text, size_t size, const struct display *display, uint64_t now)
{
    double speed = rate(display, now);
    char number[32];
    text[0] = '\0';
    if (speed <= 0)
        return;
    if (speed < 0.1) {
        format_time(number, sizeof number, 1 / speed);
        snprintf(text, size, "%s each", number);
        return;
    }
    format_count(number, sizeof number, speed, counts_bytes(&display->base));
    if (speed < 99.95 && !counts_bytes(&display->base))
        snprintf(number, sizeof number, speed < 9.995 ? "%.2f" : "%.1f", speed);
    snprintf(text, size, "%s/s", number);
}

static void format_left(char *text, size_t size, const struct display *display, uint64_t now)
{
    const struct progress *progress = &display->base;
    double speed = rate(display, now);
    char time[32];
    text[0] = '\0';
    if (progress->total < 0 || display->ended || speed <= 0 ||
        progress->state.finished >= (uint64_t)progress->total)
        return;
    format_time(time, sizeof time,
                (double)((uint64_t)progress->total - progress->state.finished) / speed);
    snprintf(text, size, "%s left", time);
}

static int percentage(const struct progress *progress)
{
    if (progress->total <= 0 || progress->state.finished >= (uint64_t)progress->total)
        return 100;
    return (int)((double)progress->state.finished * 100 / (double)progress->total);
}

/* The code point at *text, which moves past it; -1 for a byte that is no UTF-8. */
static int32_t next_code_point(const unsigned char **text)
{
    const unsigned char *at = *text;
    int more = *at < 0x80   ? 0
               : *at < 0xc2 ? -1
               : *at < 0xe0 ? 1
               : *at < 0xf0 ? 2
               : *at < 0xf5 ? 3
                            : -1;
    int32_t code = more <= 0 ? *at : *at & (0x3f >> more);
    *text = at + 1;
    if (more < 0)
        return -1;
    for (int i = 1; i <= more; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return -1;
        code = code << 6 | (at[i] & 0x3f);
    }
    *text = at + 1 + more;
    return code;
}

/* Columns of a character, nearly enough for a label: a line that turns out too long is cut by the
 * terminal, not wrapped. */
static int character_columns(int32_t code)
{
    if ((code >= 0x300 && code < 0x370) || (code >= 0x200b && code < 0x2010) ||
        (code >= 0xfe00 && code < 0xfe10))
        return 0;
    if ((code >= 0x1100 && code < 0x1160) || (code >= 0x2e80 && code < 0xa4d0) ||
        (code >= 0xac00 && code < 0xd7a4) || (code >= 0xf900 && code < 0xfb00) ||
        (code >= 0xfe30 && code < 0xfe70) || (code >= 0xff00 && code < 0xff61) ||
        (code >= 0x1f300 && code < 0x1fb00) || code >= 0x20000)
        return 2;
    return 1;
}

/* Appends as much of the text as fits into so many columns, with "?" for what can't be shown. Gives
 * the columns that it took; -1: out of memory. */
static int append_fitting(struct buffer *out, const char *text, int columns, bool utf8)
{
    const unsigned char *at = (const unsigned char *)text;
    int used = 0;
    while (*at) {
        const unsigned char *start = at;
        int32_t code = next_code_point(&at);
        bool plain =
            code >= ' ' && code != 0x7f && !(code >= 0x80 && code < 0xa0) && (code < 0x80 || utf8);
        int wide = plain ? character_columns(code) : 1;
        if (used + wide > columns)
            break;
        if (!(plain ? buffer_append(out, start, (size_t)(at - start)) : buffer_append(out, "?", 1)))
            return -1;
        used += wide;
    }
    return used;
}

static int text_columns(const char *text, bool utf8)
{
    struct buffer scratch = {0};
    int columns = append_fitting(&scratch, text, INT32_MAX / 2, utf8);
    buffer_free(&scratch);
    return columns < 0 ? 0 : columns;
}

static bool append_label(struct buffer *out, const char *label, int columns,
                         const struct bar_style *style)
{
    int used = text_columns(label, style->utf8);
    if (used <= columns)
        return append_fitting(out, label, columns, style->utf8) >= 0 &&
               buffer_printf(out, "%*s", columns - used, "");
    return append_fitting(out, label, columns - 1, style->utf8) >= 0 &&
           buffer_printf(out, "%s",
                         columns < 1   ? ""
                         : style->utf8 ? "…"
                                       : ".");
}

static bool append_cells(struct buffer *out, const char *cell, const char *colour, int from, int to)
{
    bool done = from >= to || buffer_printf(out, "%s", colour);
    for (int i = from; done && i < to; i++)
        done = buffer_append(out, cell, strlen(cell));
    return done && (from >= to || !*colour || buffer_append(out, "\033[0m", 4));
}

static int cells_until(uint64_t tasks, int64_t total, int width)
{
    double cells = total > 0 ? (double)tasks * width / (double)total : width;
    return cells < width ? (int)cells : width;
}

/* Finished tasks are solid cells, those in progress lighter ones, dispatched ones dots. As long as
 * there is room, at least one cell shows that tasks are in progress, and one that tasks are
 * dispatched. */
static bool append_bar(struct buffer *out, const struct progress *progress, int width,
                       const struct bar_style *style)
{
    const struct progress_state *state = &progress->state;
    uint64_t begun = state->finished + state->in_progress;
    int finished = cells_until(state->finished, progress->total, width);
    int running = cells_until(begun, progress->total, width);
    if (state->in_progress && running == finished && running < width)
        running++;
    int waiting = cells_until(begun + state->dispatched, progress->total, width);
    if (waiting < running)
        waiting = running;
    if (state->dispatched && waiting == running && waiting < width)
        waiting++;
    return buffer_printf(out, "%s", style->utf8 ? "▕" : "[") &&
           append_cells(out, style->utf8 ? "█" : "#", style->colour ? "\033[32m" : "", 0,
                        finished) &&
           append_cells(out, style->utf8 ? "▒" : "=", style->colour ? "\033[36m" : "", finished,
                        running) &&
           append_cells(out, style->utf8 ? "·" : ".", "", running, waiting) &&
           append_cells(out, " ", "", waiting, width) &&
           buffer_printf(out, "%s", style->utf8 ? "▏" : "]");
}

/* In the order in which they are left out where room is missing; PERCENT never is. LEFT is the time
 * left. */
enum part { ELAPSED, RATE, COUNTS, LEFT, PERCENT, PART_COUNT };

struct bar_parts {
    char text[PART_COUNT][128]; /* empty: left out */
    const char *label;
    char label_of_worker[256]; /* what `label` points to for a worker's display */
    int label_columns;
    int cells; /* of the bar; 0: no bar */
};

/* Columns that a label may take before the other parts get theirs. */
static int label_share(const struct bar_style *style)
{
    return style->columns * 2 / 5;
}

/* The label of a worker's display names the worker: "worker 2: users", or "2: users" where
 * there is less room. */
static void make_label(struct bar_parts *parts, const struct progress *progress,
                       const struct bar_style *style)
{
    const char *label = progress->label    ? progress->label
                        : progress->logger ? progress->logger
                                           : "";
    parts->label = label;
    if (!progress->worker)
        return;
    parts->label = parts->label_of_worker;
    snprintf(parts->label_of_worker, sizeof parts->label_of_worker, "worker %d%s%s",
             progress->worker, *label ? ": " : "", label);
    if (*label && text_columns(parts->label_of_worker, style->utf8) > label_share(style))
        snprintf(parts->label_of_worker, sizeof parts->label_of_worker, "%d: %s", progress->worker,
                 label);
}

static void make_parts(struct bar_parts *parts, const struct display *display, uint64_t now,
                       const struct bar_style *style)
{
    const struct progress *progress = &display->base;
    char done[32], total[32];
    const char *unit = progress->unit ? progress->unit : "tasks";
    format_count(done, sizeof done, (double)progress->state.finished, counts_bytes(progress));
    format_count(total, sizeof total, (double)progress->total, counts_bytes(progress));
    snprintf(parts->text[COUNTS], sizeof *parts->text, "%s%s%s%s%.24s", done,
             progress->total < 0 ? "" : "/", progress->total < 0 ? "" : total,
             counts_bytes(progress) ? "" : " ", counts_bytes(progress) ? "" : unit);
    if (progress->total >= 0)
        snprintf(parts->text[PERCENT], sizeof *parts->text, "%3d%%", percentage(progress));
    format_time(parts->text[ELAPSED], sizeof *parts->text, elapsed_seconds(display, now));
    format_rate(parts->text[RATE], sizeof *parts->text, display, now);
    format_left(parts->text[LEFT], sizeof *parts->text, display, now);
    make_label(parts, progress, style);
}

/* Columns of all parts but the bar, with the one or two spaces between them. */
static int parts_columns(const struct bar_parts *parts, bool utf8)
{
    int columns = parts->label_columns + (parts->label_columns > 0);
    for (int i = 0; i < PART_COUNT; i++)
        if (parts->text[i][0])
            columns += text_columns(parts->text[i], utf8) + (i == PERCENT ? 1 : 2);
    return columns;
}

/* Leaves out parts until the smallest bar fits beside the rest; where the total is not known, and
 * so there is no bar, until the rest fits. The room that remains goes to the bar first, and then to
 * a label that had been cut. Where the rest still does not fit, the label is cut further. */
static void fit_parts(struct bar_parts *parts, bool has_bar, const struct bar_style *style)
{
    const int bar_ends = 3; /* a space before the bar, and its two ends */
    int wanted = text_columns(parts->label, style->utf8);
    int share = label_share(style);
    if (style->label_columns)
        wanted = style->label_columns;
    parts->label_columns = wanted < share ? wanted : share;
    int needed = has_bar ? BAR_LEAST + bar_ends : 0;
    for (int i = 0; i < PERCENT && style->columns - parts_columns(parts, style->utf8) < needed; i++)
        parts->text[i][0] = '\0';
    int room = style->columns - parts_columns(parts, style->utf8);
    if (has_bar && room >= needed) {
        int most = style->most_cells ? style->most_cells : BAR_MOST;
        parts->cells = room - bar_ends < most ? room - bar_ends : most;
        room -= parts->cells + bar_ends;
    }
    parts->label_columns +=
        room < wanted - parts->label_columns ? room : wanted - parts->label_columns;
    if (parts->label_columns < 0)
        parts->label_columns = 0;
}

void bar_fit_label(struct bar_style *style, const struct display *display, uint64_t now)
{
    struct bar_parts parts = {0};
    make_parts(&parts, display, now, style);
    int wanted = text_columns(parts.label, style->utf8), share = label_share(style);
    if (wanted > share)
        wanted = share;
    if (wanted > style->label_columns)
        style->label_columns = wanted;
}

void bar_fit_cells(struct bar_style *style, const struct display *display, uint64_t now)
{
    struct bar_parts parts = {0};
    make_parts(&parts, display, now, style);
    fit_parts(&parts, display->base.total >= 0, style);
    if (parts.cells)
        style->most_cells = parts.cells; /* fit_parts gives no more than most_cells */
}

bool bar_draw(struct buffer *out, const struct display *display, uint64_t now,
              const struct bar_style *style)
{
    static const enum part tail[] = {COUNTS, RATE, ELAPSED, LEFT};
    struct bar_parts parts = {0};
    const char *gap = "";
    make_parts(&parts, display, now, style);
    fit_parts(&parts, display->base.total >= 0, style);
    bool done = true;
    if (parts.label_columns > 0) {
        done = append_label(out, parts.label, parts.label_columns, style);
        gap = " ";
    }
    if (done && parts.text[PERCENT][0]) {
        done = buffer_printf(out, "%s", gap) &&
               append_fitting(out, parts.text[PERCENT], style->columns, style->utf8) >= 0;
        gap = " ";
    }
    if (done && parts.cells)
        done = buffer_printf(out, "%s", gap) && append_bar(out, &display->base, parts.cells, style);
    gap = parts.label_columns > 0 || parts.text[PERCENT][0] ? "  " : "";
    for (size_t i = 0; done && i < sizeof tail / sizeof *tail; i++) {
        if (!parts.text[tail[i]][0])
            continue;
        done = buffer_printf(out, "%s", gap) &&
               append_fitting(out, parts.text[tail[i]], style->columns, style->utf8) >= 0;
        gap = "  ";
    }
    return done;
}

bool bar_describe(struct buffer *out, const struct display *display, uint64_t now)
{
    const struct progress *progress = &display->base;
    char elapsed[32], speed[48], left[48];
    format_time(elapsed, sizeof elapsed, elapsed_seconds(display, now));
    format_rate(speed, sizeof speed, display, now);
    format_left(left, sizeof left, display, now);
    bool done = !progress->label || buffer_printf(out, "%s: ", progress->label);
    done = done && buffer_printf(out, "%" PRIu64, progress->state.finished);
    if (progress->total >= 0)
        done = done && buffer_printf(out, "/%" PRId64, progress->total);
    done = done && buffer_printf(out, " %s", progress->unit ? progress->unit : "tasks");
    if (progress->total >= 0)
        done = done && buffer_printf(out, " (%d%%)", percentage(progress));
    if (display->ended)
        return done && buffer_printf(out, " in %s%s%s", elapsed, *speed ? ", " : "", speed);
    if (progress->state.in_progress)
        done = done && buffer_printf(out, ", %" PRIu64 " running", progress->state.in_progress);
    return done && buffer_printf(out, "%s%s, %s%s%s", *speed ? ", " : "", speed, elapsed,
                                 *left ? ", " : "", left);
}
