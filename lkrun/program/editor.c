/* libedit edits; this file gives it what it lacks: characters that a signal can interrupt, pastes
 * in one piece, a line that is drawn again after a stop, a resize or output in between.
 *
 * Main invariant: a line is being edited exactly while `editor.state` is set, and only then is the
 * terminal in libedit's mode. SIGWINCH and SIGCONT are blocked meanwhile, except in the one ppoll
 * that waits for a key, so that none is slept through. */
#include "program/editor.h"

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

#include "program/editor_state.h"
#include "program/history.h"
#include "program/libedit.h"
#include "program/report.h"
#include "machine/signals.h"
#include "screen/terminal.h"
#include "screen/terminal_editing.h"
#include "base/util.h"

/* Entries of the history that are at hand. */
#define ENTRIES_MAX 10000

struct editor editor;
static History *entries;
static pthread_t main_thread;
static volatile sig_atomic_t resized, continued;

static char *prompt_of(EditLine *unused)
{
    (void)unused;
    return (char *)editor.prompt;
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
    pthread_sigmask(SIG_SETMASK, NULL, &waiting);
    sigdelset(&waiting, SIGWINCH);
    sigdelset(&waiting, SIGCONT);
    for (;;) {
        if (signal_pending())
            return false;
        if (continued) {
            resized = continued = 0;
            editing_resume(); /* a stop may have come unannounced: kill -STOP */
            editor.library->resize(editor.line);
            fputc('\r', editor.output);
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

int editor_read_character(EditLine *unused, wchar_t *character)
{
    mbstate_t state = {0};
    char byte;
    (void)unused;
    for (;;) {
        if (editor.interrupted || !wait_for_key()) {
            editor.interrupted = true;
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

/* --- lines --- */

static void add_to_history(const char *entry)
{
    HistEvent event;
    editor.library->history(entries, &event, H_ENTER, entry);
}

bool editor_open(void)
{
    const char *problem;
    HistEvent event;
    if (!terminal_is_smart(STDIN_FILENO) || !terminal_is_smart(STDOUT_FILENO))
        return false;
    editor.library = libedit_library(&problem);
    if (!editor.library) {
        report_line("the prompt: %s", problem);
        return false;
    }
    if (MB_CUR_MAX == 1)
        setlocale(LC_CTYPE, "C.UTF-8"); /* a terminal without a locale sends UTF-8 all the same */
    int descriptor = dup(STDOUT_FILENO);
    editor.output = descriptor >= 0 ? fdopen(descriptor, "w") : NULL;
    editor.line =
        editor.output ? editor.library->init("lkrun", stdin, editor.output, editor.output) : NULL;
    entries = editor.line ? editor.library->history_init() : NULL;
    if (!entries) {
        editor_close();
        return false;
    }
    main_thread = pthread_self();
    editor.library->set(editor.line, EL_PROMPT, prompt_of);
    editor.library->set(editor.line, EL_GETCFN, editor_read_character);
    editor.library->set(editor.line, EL_HIST, editor.library->history, entries);
    editor.library->set(editor.line, EL_EDITOR, "emacs");
    editor.library->history(entries, &event, H_SETSIZE, ENTRIES_MAX);
    editor.library->history(entries, &event, H_SETUNIQUE, 1);
    editor.library->source(editor.line, NULL); /* ~/.editrc */
    editor_bind_keys();
    history_load(add_to_history);
    return true;
}

void editor_close(void)
{
    if (entries)
        editor.library->history_end(entries);
    if (editor.line)
        editor.library->end(editor.line);
    if (editor.output)
        fclose(editor.output);
    entries = NULL;
    editor.line = NULL;
    editor.output = NULL;
}

void editor_remember(const char *entry, size_t length)
{
    HistEvent last;
    bool again =
        editor.library->history(entries, &last, H_FIRST) == 0 && strcmp(last.str, entry) == 0;
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
    fprintf(editor.output, "%*s\r\033[J", columns - 1, "");
    fflush(editor.output);
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
    editor.state = L;
    editor.complete = complete_function;
    editor.prompt = prompt;
    editor.interrupted = false;
    watch_changes(&before);
    draw_note_columns();
    editor.library->resize(editor.line); /* it may have changed its size meanwhile */
    editing_begin();
    editor.library->set(editor.line, EL_PREP_TERM, 1); /* before the prompt asks for keys */
    editing_take_keys();
    go_to_first_column();
    const char *text = editor.library->gets(editor.line, &count);
    editing_end();
    unwatch_changes(&before);
    editor.state = NULL;
    if (editor.interrupted || !text) {
        if (!text)
            fputc('\n', editor.output);
        fflush(editor.output);
        return editor.interrupted ? READ_INTERRUPTED : READ_END;
    }
    size_t length = strlen(text);
    if (length && text[length - 1] == '\n')
        length--;
    lua_pushlstring(L, text, length);
    return READ_LINE;
}
