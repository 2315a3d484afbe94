/* What a display looks like, as text. */
/* runs under: thread, valgrind */
#include "screen/progress_bar.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#define SECOND UINT64_C(1000000000)

static int tests, failures;

static void check(bool holds, const char *name)
{
    tests++;
    failures += !holds;
    printf("%s %d - %s\n", holds ? "ok" : "not ok", tests, name);
}

static void check_text(const char *found, const char *expected)
{
    check(strcmp(found, expected) == 0, expected);
    if (strcmp(found, expected) != 0)
        printf("# found: %s\n", found);
}

static struct display display_with(int64_t total, uint64_t finished, const char *unit)
{
    return (struct display){.base = {.label = "rows",
                                     .unit = (char *)unit,
                                     .total = total,
                                     .state = {.finished = finished},
                                     .started = SECOND},
                            .sampled = SECOND};
}

/* Drawn when this many seconds have passed. */
static const char *drawn(struct display display, double seconds, const struct bar_style *style)
{
    static char text[4096];
    struct buffer out = {0};
    uint64_t now = SECOND + (uint64_t)(seconds * 1e9);
    bar_sample(&display, now);
    bool done = bar_draw(&out, &display, now, style);
    snprintf(text, sizeof text, "%.*s", done ? (int)out.length : 0, done ? out.data : "");
    buffer_free(&out);
    return text;
}

static const char *described(struct display display, double seconds)
{
    static char text[4096];
    struct buffer out = {0};
    uint64_t now = SECOND + (uint64_t)(seconds * 1e9);
    bar_sample(&display, now);
    bool done = bar_describe(&out, &display, now);
    snprintf(text, sizeof text, "%.*s", done ? (int)out.length : 0, done ? out.data : "");
    buffer_free(&out);
    return text;
}

static const struct bar_style plain = {.columns = 79};

static void test_parts(void)
{
    check_text(drawn(display_with(1000, 450, "users"), 30, &plain),
               "rows  45% [###########              ]  450/1000 users  15.0/s  0:30  0:36 left");
    check_text(drawn(display_with(2000000, 1234567, NULL), 4000, &plain),
               "rows  61% [###########        ]  1.23M/2.00M tasks  309/s  1:06:40  41:20 left");
    check_text(drawn(display_with(3000000, 1572864, "bytes"), 2, &plain),
               "rows  52% [###########           ]  1.50MiB/2.86MiB  768KiB/s  0:02  0:01 left");
    check_text(drawn(display_with(-1, 12, "lines"), 90000, &plain),
               "rows  12 lines  2:05:00 each  1d 01:00");
    check_text(drawn(display_with(0, 0, NULL), 0, &plain),
               "rows 100% [########################################]  0/0 tasks  0:00");
    check_text(drawn(display_with(5, 9, NULL), 3, &plain),
               "rows 100% [########################################]  9/5 tasks  3.00/s  0:03");
}

static void test_states(void)
{
    struct display display = display_with(1000, 998, NULL);
    display.base.state.in_progress = 1;
    display.base.state.dispatched = 1;
    check_text(drawn(display, 0, &plain),
               "rows  99% [#######################################=]  998/1000 tasks  0:00");
    display.base.state = (struct progress_state){.in_progress = 1};
    check_text(drawn(display, 0, &plain),
               "rows   0% [=                                       ]  0/1000 tasks  0:00");
    display.base.state =
        (struct progress_state){.finished = 250, .in_progress = 250, .dispatched = 250};
    check_text(drawn(display, 0, &(struct bar_style){.columns = 79, .utf8 = true, .colour = true}),
               "rows  25% "
               "\u2595\033[32m\u2588\u2588\u2588\u2588\u2588\u2588\u2588\u2588\u2588\u2588\033[0m"
               "\033[36m\u2592\u2592\u2592\u2592\u2592\u2592\u2592\u2592\u2592\u2592\033[0m"
               "\u00b7\u00b7\u00b7\u00b7\u00b7\u00b7\u00b7\u00b7\u00b7\u00b7          \u258f"
               "  250/1000 tasks  0:00");
}

static void test_rate(void)
{
    struct display display = display_with(1000, 0, NULL);
    /* 10 a second for a minute, then nothing for a minute: the rate forgets, and so does the time
     * left. */
    for (int second = 1; second <= 60; second++) {
        display.base.state.finished += 10;
        bar_sample(&display, (uint64_t)(second + 1) * SECOND);
    }
    check_text(described(display, 60), "rows: 600/1000 tasks (60%), 10.0/s, 1:00, 0:40 left");
    check_text(described(display, 70), "rows: 600/1000 tasks (60%), 3.67/s, 1:10, 1:48 left");
    display.base.state.in_progress = 4;
    check_text(described(display, 120),
               "rows: 600/1000 tasks (60%), 4 running, 0:40 each, 2:00, 4:29:37 left");
    display.ended = 121 * SECOND;
    check_text(described(display, 121), "rows: 600/1000 tasks (60%) in 2:00, 5.00/s");
}

/* Tasks of a minute each: the rate stays near one a minute when they end and in between. */
static void test_rate_of_long_tasks(void)
{
    struct display display = display_with(100, 0, NULL);
    bool near = true;
    for (int second = 1; second <= 1800; second++) {
        display.base.state.finished = (uint64_t)(second / 60);
        uint64_t now = (uint64_t)(second + 1) * SECOND;
        bar_sample(&display, now);
        double speed = display.recent_tasks / display.recent_seconds;
        near = near && (second < 300 || (speed > 0.8 / 60 && speed < 1.25 / 60));
    }
    check(near, "the rate of long tasks neither jumps nor fades");
}

/* Columns of a line by the C library; -1: not a text that can be shown. */
static int columns_of(const char *text)
{
    wchar_t wide[1024];
    size_t length = mbstowcs(wide, text, 1024);
    return length == (size_t)-1 ? -1 : wcswidth(wide, length);
}

static void test_width(void)
{
    static const char *const labels[] = {
        NULL,
        "",
        "rows",
        "a label that is longer than most terminals would have room for",
        "\u7a4d\u306e\u53ce\u675f\u3092\u8abf\u3079\u308b\u4e00\u3064\u306e\u4f5c\u696d",
        "broken \xff\xe7\xa9 bytes\n\x1b[31m"};
    bool fits = true, full = true;
    for (size_t label = 0; label < sizeof labels / sizeof *labels; label++)
        for (int columns = 1; columns <= 200; columns++)
            for (int kind = 0; kind < 8; kind++) {
                struct display display =
                    display_with(kind & 1 ? -1 : 1000000, 123456, kind & 2 ? "users" : NULL);
                display.base.label = (char *)labels[label];
                display.base.worker = kind & 4 ? 3 : 0;
                struct bar_style style = {.columns = columns, .utf8 = true};
                int width = columns_of(drawn(display, 100, &style));
                fits = fits && width >= 0 && width <= columns;
                full = full && (columns < 120 || strstr(drawn(display, 100, &style), "users") ||
                                !(kind & 2));
                style.utf8 = false;
                const char *text = drawn(display, 100, &style);
                fits = fits && (int)strlen(text) <= columns;
                for (; *text; text++)
                    fits = fits && *text >= ' ' && *text < 0x7f;
            }
    check(fits, "no line takes more columns than there are");
    check(full, "a wide one leaves nothing out");
}

int main(void)
{
    if (!setlocale(LC_CTYPE, "C.UTF-8"))
        return 1;
    test_parts();
    test_states();
    test_rate();
    test_rate_of_long_tasks();
    test_width();
    printf("1..%d\n", tests);
    return failures != 0;
}
