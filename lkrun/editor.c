/* libedit edits; this file gives it what it lacks: characters that a signal can interrupt, pastes
 * in one piece, a line that is drawn again after a stop, a resize or output in between.
 *
 * Main invariant: a line is being edited exactly while `line.state` is set, and only then is the
 * terminal in libedit's mode. SIGWINCH and SIGCONT are blocked meanwhile, except in the one ppoll
 * that waits for a key, so that none is slept through. */
#include "editor.h"

#include <errno.h>
#include <locale.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#include "editor_layout.h"
#include "history.h"
#include "libedit.h"
#include "report.h"
#include "signals.h"
#include "terminal.h"
#include "terminal_editing.h"
#include "util.h"

/* Entries of the history that are at hand. */
#define ENTRIES_MAX 10000

static const struct libedit *library;
static EditLine *edit;
static History *entries;
static FILE *output; /* libedit's own: what the program does to stdout is nothing to it */
static pthread_t main_thread;
static volatile sig_atomic_t resized, continued;

/* The line that is being edited. */
static struct {
    lua_State *state;
    int complete;
    const char *prompt;
    bool interrupted; /* what comes next ends it, and it is dropped */
} line;

static char *prompt_of(EditLine *unused)
{
    (void)unused;
    return (char *)line.prompt;
}

/* --- drawing --- */

/* Moves the cursor by whole rows, down where the number is positive, to the first column. */
static void move_rows(int rows)
{
    if (rows)
        fprintf(output, "\033[%d%c", abs(rows), rows > 0 ? 'B' : 'A');
    fputc('\r', output);
}

static struct layout layout_now(void)
{
    int columns, rows;
    const LineInfoW *info = library->line_wide(edit);
    terminal_size(STDOUT_FILENO, &columns, &rows);
    struct layout layout =
        layout_of(info->buffer, (size_t)(info->cursor - info->buffer),
                  (size_t)(info->lastchar - info->buffer), (int)strlen(line.prompt), columns);
    /* Of what is longer than the screen, libedit shows a screenful. */
    layout.cursor = layout.cursor < rows ? layout.cursor : rows - 1;
    layout.last = layout.last < rows ? layout.last : rows - 1;
    return layout;
}

/* Draws the line where the cursor is: in the first column of a row with nothing below it. */
static void draw_here(void)
{
    fputs("\033[J", output);
    library->set(edit, EL_REFRESH);
    fflush(output);
}

/* In place of what the terminal made of it when it changed its width. */
static void draw_resized(void)
{
    move_rows(-layout_now().cursor);
    fflush(output);
    library->resize(edit);
    draw_here();
}

/* Below the line goes `text`, and below that the line again. */
static void show_below(const char *text)
{
    struct layout layout = layout_now();
    move_rows(layout.last - layout.cursor);
    fprintf(output, "\n%s\n", text);
    draw_here();
}

/* --- characters --- */

static void on_change(int signal_number)
{
    int saved = errno;
    if (!pthread_equal(pthread_self(), main_thread))
        pthread_kill(main_thread, signal_number); /* it is the one that waits */
    else if (signal_number == SIGWINCH)
        resized = 1;
    else
        continued = 1;
    errno = saved;
}

/* Until there is something to read, and draws what must be drawn again. False: a signal ends it. */
static bool wait_for_key(void)
{
    struct pollfd sources[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                               {.fd = signal_descriptor(), .events = POLLIN}};
    sigset_t waiting;
    editing_note_mode();
    pthread_sigmask(SIG_SETMASK, NULL, &waiting);
    sigdelset(&waiting, SIGWINCH);
    sigdelset(&waiting, SIGCONT);
    for (;;) {
        if (signal_pending())
            return false;
        if (continued) {
            resized = continued = 0;
            editing_resume(); /* a stop may have come unannounced: kill -STOP */
            library->resize(edit);
            fputc('\r', output);
            draw_here();
        } else if (resized) {
            resized = 0;
            draw_resized();
        }
        int ready = ppoll(sources, 2, NULL, &waiting);
        if (ready > 0 && sources[0].revents && !signal_pending())
            return true;
        if (ready < 0 && errno != EINTR)
            return true; /* the read tells what is wrong */
    }
}

/* For libedit: 1 and a character, or 0 at the end of the input. A signal is the end of the line. */
static int read_character(EditLine *unused, wchar_t *character)
{
    mbstate_t state = {0};
    char byte;
    (void)unused;
    for (;;) {
        if (line.interrupted || !wait_for_key()) {
            line.interrupted = true;
            *character = L'\n';
            return 1;
        }
        ssize_t count = read(STDIN_FILENO, &byte, 1);
        if (count < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (count <= 0)
            return 0;
        size_t length = mbrtowc(character, &byte, 1, &state);
        if (length <= 1)
            return 1;
        if (length == (size_t)-1)
            memset(&state, 0, sizeof state); /* no character of this locale: passed over */
    }
}

/* --- keys --- */

/* After "ESC [ 200 ~": everything to "ESC [ 201 ~" is text. */
static unsigned char paste(EditLine *unused, int key)
{
    static const wchar_t end[] = L"\033[201~";
    const size_t end_length = sizeof end / sizeof *end - 1;
    struct buffer text = {0};
    wchar_t character = 0;
    (void)key;
    while (read_character(unused, &character) == 1 && !line.interrupted) {
        bool kept = buffer_append(&text, &character, sizeof character);
        size_t count = text.length / sizeof character;
        wchar_t *characters = (wchar_t *)text.data;
        if (!kept)
            break;
        if (count >= end_length && wmemcmp(characters + count - end_length, end, end_length) == 0) {
            text.length -= end_length * sizeof character;
            break;
        }
    }
    size_t count = layout_clean((wchar_t *)text.data, text.length / sizeof character);
    character = 0;
    text.length = count * sizeof character;
    bool inserted = count == 0 || (buffer_append(&text, &character, sizeof character) &&
                                   library->insert_wide(edit, (wchar_t *)text.data) == 0);
    buffer_free(&text);
    return inserted ? CC_REFRESH : CC_REFRESH_BEEP;
}

/* Ctrl-Z; the handler of the signal gives the terminal back and takes it again. */
static unsigned char suspend(EditLine *unused, int key)
{
    struct layout layout = layout_now();
    sigset_t continuing;
    (void)unused;
    (void)key;
    sigemptyset(&continuing);
    sigaddset(&continuing, SIGCONT);
    move_rows(layout.last - layout.cursor);
    fputc('\n', output);
    fflush(output);
    raise(SIGTSTP);
    sigtimedwait(&continuing, NULL, &(struct timespec){0}); /* it is seen to here */
    library->resize(edit);
    draw_here();
    return CC_NORM;
}

static unsigned char insert_newline(EditLine *unused, int key)
{
    (void)unused;
    (void)key;
    return library->insert_wide(edit, L"\n") == 0 ? CC_REFRESH : CC_REFRESH_BEEP;
}

/* Tab. Where nothing stands before the cursor on its row, two spaces. */
static unsigned char complete(EditLine *unused, int key)
{
    int columns, rows;
    lua_State *L = line.state;
    const LineInfo *info = library->line(edit);
    const char *word = info->cursor;
    (void)unused;
    (void)key;
    while (word > info->buffer && (word[-1] == ' ' || word[-1] == '\t'))
        word--;
    if (word == info->buffer || word[-1] == '\n')
        return library->insert(edit, "  ") == 0 ? CC_REFRESH : CC_REFRESH_BEEP;
    terminal_size(STDOUT_FILENO, &columns, &rows);
    /* No finalizer of the program's may write into the line. */
    int collects = lua_gc(L, LUA_GCISRUNNING);
    lua_gc(L, LUA_GCSTOP);
    lua_pushvalue(L, line.complete);
    lua_pushlstring(L, info->buffer, (size_t)(info->cursor - info->buffer));
    lua_pushinteger(L, columns);
    unsigned char done = CC_REFRESH_BEEP;
    if (lua_pcall(L, 2, 2, 0) != LUA_OK) {
        lua_pop(L, 1);
    } else {
        const char *insertion = lua_tostring(L, -2), *listing = lua_tostring(L, -1);
        if (insertion && library->insert(edit, insertion) == 0) {
            done = CC_REFRESH;
        } else if (listing) {
            show_below(listing);
            done = CC_NORM;
        }
        lua_pop(L, 2);
    }
    if (collects)
        lua_gc(L, LUA_GCRESTART);
    return done;
}

/* Up and down: a row of the text, or at its edge an entry of the history. Those are commands of
 * libedit's, reached by keys of our own. */
#define PREVIOUS_ENTRY "\033\001p"
#define NEXT_ENTRY     "\033\001n"

static unsigned char go_up(EditLine *unused, int key)
{
    const LineInfoW *info = library->line_wide(edit);
    int up = layout_up(info->buffer, (size_t)(info->cursor - info->buffer));
    (void)unused;
    (void)key;
    if (up == 0) {
        library->push(edit, PREVIOUS_ENTRY);
        return CC_NORM;
    }
    library->cursor(edit, -up);
    return CC_CURSOR;
}

static unsigned char go_down(EditLine *unused, int key)
{
    const LineInfoW *info = library->line_wide(edit);
    int down = layout_down(info->buffer, (size_t)(info->cursor - info->buffer),
                           (size_t)(info->lastchar - info->buffer));
    (void)unused;
    (void)key;
    if (down == 0) {
        library->push(edit, NEXT_ENTRY);
        return CC_NORM;
    }
    library->cursor(edit, down);
    return CC_CURSOR;
}

static void bind_keys(void)
{
    static const struct {
        const char *name, *help;
        unsigned char (*function)(EditLine *, int);
        const char *keys[4];
    } commands[] = {
        {"lkrun-paste", "Insert what is pasted", paste, {"\033[200~"}},
        {"lkrun-complete", "Complete the name", complete, {"\t"}},
        {"lkrun-suspend", "Stop this program", suspend, {"\032"}},
        {"lkrun-newline", "Insert a newline", insert_newline, {"\033\r", "\033\n"}},
        {"lkrun-up", "One row or entry up", go_up, {"\033[A", "\033OA", "\020"}},
        {"lkrun-down", "One row or entry down", go_down, {"\033[B", "\033OB", "\016"}},
    };
    static const char *const own[][2] = {
        {PREVIOUS_ENTRY, "ed-prev-history"}, {NEXT_ENTRY, "ed-next-history"},
        {"\033[H", "ed-move-to-beg"},        {"\033[F", "ed-move-to-end"},
        {"\033[1~", "ed-move-to-beg"},       {"\033[4~", "ed-move-to-end"},
        {"\033[3~", "ed-delete-next-char"},  {"\033[1;5C", "em-next-word"},
        {"\033[1;5D", "ed-prev-word"},       {"\022", "em-inc-search-prev"},
    };
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        library->set(edit, EL_ADDFN, commands[i].name, commands[i].help, commands[i].function);
        for (size_t k = 0; k < 4 && commands[i].keys[k]; k++)
            library->set(edit, EL_BIND, commands[i].keys[k], commands[i].name, NULL);
    }
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        library->set(edit, EL_BIND, own[i][0], own[i][1], NULL);
}

/* --- lines --- */

static void add_to_history(const char *entry)
{
    HistEvent event;
    library->history(entries, &event, H_ENTER, entry);
}

bool editor_open(void)
{
    const char *problem;
    HistEvent event;
    if (!terminal_is_smart(STDIN_FILENO) || !terminal_is_smart(STDOUT_FILENO))
        return false;
    library = libedit_library(&problem);
    if (!library) {
        report_line("the prompt: %s", problem);
        return false;
    }
    if (MB_CUR_MAX == 1)
        setlocale(LC_CTYPE, "C.UTF-8"); /* a terminal without a locale sends UTF-8 all the same */
    int descriptor = dup(STDOUT_FILENO);
    output = descriptor >= 0 ? fdopen(descriptor, "w") : NULL;
    edit = output ? library->init("lkrun", stdin, output, output) : NULL;
    entries = edit ? library->history_init() : NULL;
    if (!entries) {
        editor_close();
        return false;
    }
    main_thread = pthread_self();
    library->set(edit, EL_PROMPT, prompt_of);
    library->set(edit, EL_GETCFN, read_character);
    library->set(edit, EL_HIST, library->history, entries);
    library->set(edit, EL_EDITOR, "emacs");
    library->history(entries, &event, H_SETSIZE, ENTRIES_MAX);
    library->history(entries, &event, H_SETUNIQUE, 1);
    library->source(edit, NULL); /* ~/.editrc */
    bind_keys();
    history_load(add_to_history);
    return true;
}

void editor_close(void)
{
    if (entries)
        library->history_end(entries);
    if (edit)
        library->end(edit);
    if (output)
        fclose(output);
    entries = NULL;
    edit = NULL;
    output = NULL;
}

void editor_remember(const char *entry, size_t length)
{
    HistEvent last;
    bool again = library->history(entries, &last, H_FIRST) == 0 && strcmp(last.str, entry) == 0;
    if (!again) {
        add_to_history(entry);
        history_append(entry, length);
    }
}

/* To the first column: of the next row where the program left its last one unfinished. As many
 * spaces as the row is wide go past its end only there. */
static void go_to_first_column(void)
{
    int columns, rows;
    terminal_size(STDOUT_FILENO, &columns, &rows);
    fprintf(output, "%*s\r\033[J", columns - 1, "");
    fflush(output);
    terminal_line_is_new();
}

/* The signals' handlers and mask while a line is edited; gives what was there. */
struct watch {
    struct sigaction resize, resume;
    sigset_t mask;
};

static void watch_changes(struct watch *before)
{
    struct sigaction action = {.sa_handler = on_change, .sa_flags = SA_RESTART};
    sigset_t changes;
    sigemptyset(&changes);
    sigaddset(&changes, SIGWINCH);
    sigaddset(&changes, SIGCONT);
    pthread_sigmask(SIG_BLOCK, &changes, &before->mask);
    sigaction(SIGWINCH, &action, &before->resize);
    sigaction(SIGCONT, &action, &before->resume);
    resized = continued = 0;
}

static void unwatch_changes(const struct watch *before)
{
    pthread_sigmask(SIG_SETMASK, &before->mask, NULL);
    sigaction(SIGWINCH, &before->resize, NULL);
    sigaction(SIGCONT, &before->resume, NULL);
}

enum reading editor_read(lua_State *L, const char *prompt, int complete_function)
{
    int count = 0;
    struct watch before;
    line.state = L;
    line.complete = complete_function;
    line.prompt = prompt;
    line.interrupted = false;
    watch_changes(&before);
    library->resize(edit); /* it may have changed its size meanwhile */
    editing_begin();
    library->set(edit, EL_PREP_TERM, 1); /* before the prompt asks for keys */
    go_to_first_column();
    const char *text = library->gets(edit, &count);
    editing_end();
    unwatch_changes(&before);
    line.state = NULL;
    if (line.interrupted || !text) {
        if (!text)
            fputc('\n', output);
        fflush(output);
        return line.interrupted ? READ_INTERRUPTED : READ_END;
    }
    size_t length = strlen(text);
    if (length && text[length - 1] == '\n')
        length--;
    lua_pushlstring(L, text, length);
    return READ_LINE;
}
