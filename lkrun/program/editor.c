/* libedit edits the line. These files give it what it lacks: a wait for keys that a signal can
 * interrupt (editor_input.c), pastes in one piece and a completion that knows Lua (editor_keys.c),
 * a line that is drawn again after a stop, a resize or output in between (editor_draw.c).
 *
 * Main invariant: a line is being edited exactly while `editor.state` is set, and only then is the
 * terminal in libedit's mode. */
#include "program/editor.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "program/editor_draw.h"
#include "program/editor_input.h"
#include "program/editor_keys.h"
#include "program/editor_state.h"
#include "program/history.h"
#include "program/libedit.h"
#include "program/report.h"
#include "screen/terminal.h"
#include "screen/terminal_editing.h"

/* Entries of the history that libedit keeps in memory, at most. */
#define ENTRIES_MAX 10000

static History *entries;

static char *prompt_of(EditLine *unused)
{
    (void)unused;
    return (char *)editor.prompt;
}

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
        setlocale(LC_CTYPE, "C.UTF-8"); /* terminals send UTF-8 even where no locale is set */
    int descriptor = dup(STDOUT_FILENO);
    editor.output = descriptor >= 0 ? fdopen(descriptor, "w") : NULL;
    editor.line =
        editor.output ? editor.library->init("lkrun", stdin, editor.output, editor.output) : NULL;
    entries = editor.line ? editor.library->history_init() : NULL;
    if (!entries) {
        editor_close();
        return false;
    }
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
    bool is_repeated =
        editor.library->history(entries, &last, H_FIRST) == 0 && strcmp(last.str, entry) == 0;
    if (!is_repeated) {
        add_to_history(entry);
        history_append(entry, length);
    }
}

/* Moves the cursor to the first column of an empty row. Spaces for all columns but one stay in the
 * row if the cursor was in its first column; they run into the next row if the program's last
 * output did not end with a newline. */
static void go_to_first_column(void)
{
    int columns, rows;
    terminal_size(STDOUT_FILENO, &columns, &rows);
    fprintf(editor.output, "%*s\r\033[J", columns - 1, "");
    fflush(editor.output);
    terminal_line_is_new();
}

enum reading editor_read(lua_State *L, const char *prompt, int complete_function)
{
    int count = 0;
    struct editor_watch before;
    editor.state = L;
    editor.complete = complete_function;
    editor.prompt = prompt;
    editor.interrupted = false;
    editor_watch_changes(&before);
    draw_note_columns();
    editor.library->resize(editor.line); /* the size may have changed since the last line */
    editing_begin();
    /* Sets the mode that editing_take_keys then changes. */
    editor.library->set(editor.line, EL_PREP_TERM, 1);
    editing_take_keys();
    go_to_first_column();
    const char *text = editor.library->gets(editor.line, &count);
    editing_end();
    editor_unwatch_changes(&before);
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
