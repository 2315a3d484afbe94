/* How displays appear on standard error. Which displays there are, and when each is shown, is
 * decided in progress.c. */
#include "screen/progress_show.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "screen/log.h"
#include "screen/progress_bar.h"
#include "screen/progress_watch.h"
#include "screen/terminal.h"

static const char *const mode_names[] = {"auto", "bar", "lines", "json", "none", NULL};

static int mode_by_name(const char *name)
{
    for (int i = 0; mode_names[i]; i++)
        if (strcmp(name, mode_names[i]) == 0)
            return i;
    return -1;
}

#define BAD_MODE "\"%.64s\" is not a way to show progress; expected auto, bar, lines, json or none"

void progress_check_environment(lua_State *L)
{
    const char *value = getenv("LK_PROGRESS");
    if (value && *value && mode_by_name(value) < 0)
        raise_error(L, "LK_PROGRESS", BAD_MODE, value);
}

/* With auto, a bar needs a terminal that can move its cursor; with "bar", any terminal. Where
 * LK_PROGRESS_DIR is set, another program shows the progress: nothing is shown here, unless lines
 * or JSON are asked for. */
enum show_mode show_choose_mode(void)
{
    const char *value = getenv("LK_PROGRESS");
    int named = value && *value ? mode_by_name(value) : MODE_AUTO;
    if (named < 0) {
        static atomic_bool told;
        if (!atomic_exchange(&told, true))
            log_message(LOG_LEVEL_WARN, "LK_PROGRESS: " BAD_MODE "; taken as auto", value);
        named = MODE_AUTO;
    }
    if (named == MODE_LINES || named == MODE_JSON || named == MODE_NONE)
        return named;
    if (watch_is_on())
        return MODE_NONE;
    bool terminal = named == MODE_BAR ? isatty(STDERR_FILENO) : terminal_is_smart(STDERR_FILENO);
    return terminal ? MODE_BAR : MODE_LINES;
}

static struct bar_style style_of_terminal(int *rows)
{
    int columns;
    terminal_size(STDERR_FILENO, &columns, rows);
    return (struct bar_style){.columns = columns - 1,
                              .utf8 = terminal_is_utf8(),
                              .colour = terminal_has_colour(STDERR_FILENO)};
}

static bool is_worth_a_line(const struct display *display, uint64_t now)
{
    return !display->base.worker || now - display->base.started >= MIRROR_DELAY;
}

/* Brings the rates up to date. Sets the style so that bars which stand below each other begin and
 * end in the same columns. */
static void arrange_bars(struct progress *first, struct bar_style *style, uint64_t now)
{
    static void (*const fit[])(struct bar_style *, const struct display *,
                               uint64_t) = {bar_fit_label, bar_fit_cells};
    int count = 0;
    for (struct progress *each = first; each; each = each->next) {
        bar_sample(display_of(each), now);
        count += is_worth_a_line(display_of(each), now);
    }
    for (size_t i = 0; count > 1 && i < sizeof fit / sizeof *fit; i++)
        for (struct progress *each = first; each; each = each->next)
            if (is_worth_a_line(display_of(each), now))
                fit[i](style, display_of(each), now);
}

void show_bars(struct progress *first, uint64_t now)
{
    struct buffer lines = {0};
    int rows, drawn = 0, hidden = 0;
    struct bar_style style = style_of_terminal(&rows);
    bool done = true;
    arrange_bars(first, &style, now);
    for (struct progress *each = first; done && each; each = each->next) {
        struct display *display = display_of(each);
        if (!is_worth_a_line(display, now))
            continue;
        /* Two rows are kept free: one says how many bars are hidden, one is for the cursor. */
        if (drawn + 2 >= rows && drawn > 0) {
            hidden++;
            continue;
        }
        done = (drawn == 0 || buffer_append(&lines, "\n", 1)) &&
               bar_draw(&lines, display, now, &style);
        each->shown = now;
        drawn++;
    }
    if (done && hidden)
        done = buffer_printf(&lines, "\n(and %d more)", hidden);
    if (done)
        terminal_draw(lines.data, lines.length);
    buffer_free(&lines);
}

void show_last_bar(struct display *display, uint64_t now)
{
    struct buffer line = {0};
    int rows;
    struct bar_style style = style_of_terminal(&rows);
    if (bar_draw(&line, display, now, &style) && buffer_append(&line, "\n", 1))
        terminal_leave(line.data, line.length);
    buffer_free(&line);
}

void show_line(struct display *display, uint64_t now)
{
    const char *logger = display->base.logger ? display->base.logger : "progress";
    struct buffer text = {0};
    if (log_enabled(LOG_LEVEL_INFO) && bar_describe(&text, display, now))
        log_write(&(struct log_record){.level = LOG_LEVEL_INFO,
                                       .logger = logger,
                                       .text = text.data,
                                       .length = text.length,
                                       .worker = display->base.worker});
    buffer_free(&text);
}

void show_json(struct display *display, uint64_t now)
{
    char *line = watch_json(display, now);
    size_t length = line ? strlen(line) : 0;
    if (line) {
        line[length] = '\n'; /* in place of the ending 0 */
        terminal_write(STDERR_FILENO, line, length + 1);
    }
    free(line);
}
