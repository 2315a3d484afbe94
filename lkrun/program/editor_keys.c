#include "program/editor_keys.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

#include "program/editor_draw.h"
#include "program/editor_input.h"
#include "program/editor_layout.h"
#include "program/editor_state.h"
#include "screen/terminal.h"
#include "base/util.h"

/* The terminal sends "ESC [ 200 ~" before a paste, which calls this, and "ESC [ 201 ~" after it:
 * everything in between is text. */
static unsigned char paste(EditLine *unused, int key)
{
    static const wchar_t end[] = L"\033[201~";
    const size_t end_length = sizeof end / sizeof *end - 1;
    struct buffer text = {0};
    wchar_t character = 0;
    (void)key;
    while (editor_read_character(unused, &character) == 1 && !editor.interrupted) {
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
    bool inserted =
        count == 0 || (buffer_append(&text, &character, sizeof character) &&
                       editor.library->insert_wide(editor.line, (wchar_t *)text.data) == 0);
    buffer_free(&text);
    return inserted ? CC_REFRESH : CC_REFRESH_BEEP;
}

/* Ctrl-Z. The handler of SIGTSTP gives the terminal back and takes it again. */
static unsigned char suspend(EditLine *unused, int key)
{
    sigset_t continuing;
    (void)unused;
    (void)key;
    sigemptyset(&continuing);
    sigaddset(&continuing, SIGCONT);
    draw_leave();
    raise(SIGTSTP);
    /* The SIGCONT that ended the stop is still blocked. It is taken here, because this draws the
     * line: wait_for_key would draw it again. */
    sigtimedwait(&continuing, NULL, &(struct timespec){0});
    editor.library->resize(editor.line);
    draw_here();
    return CC_NORM;
}

static unsigned char insert_newline(EditLine *unused, int key)
{
    (void)unused;
    (void)key;
    return editor.library->insert_wide(editor.line, L"\n") == 0 ? CC_REFRESH : CC_REFRESH_BEEP;
}

/* Tab completes the name before the cursor; at the start of a row it inserts two spaces. */
static unsigned char complete(EditLine *unused, int key)
{
    int columns, rows;
    lua_State *L = editor.state;
    const LineInfo *info = editor.library->line(editor.line);
    const char *word = info->cursor;
    (void)unused;
    (void)key;
    while (word > info->buffer && (word[-1] == ' ' || word[-1] == '\t'))
        word--;
    if (word == info->buffer || word[-1] == '\n')
        return editor.library->insert(editor.line, "  ") == 0 ? CC_REFRESH : CC_REFRESH_BEEP;
    terminal_size(STDOUT_FILENO, &columns, &rows);
    /* The collector stops meanwhile: a finalizer of the program could print into the line. */
    int collects = lua_gc(L, LUA_GCISRUNNING);
    lua_gc(L, LUA_GCSTOP);
    lua_pushvalue(L, editor.complete);
    lua_pushlstring(L, info->buffer, (size_t)(info->cursor - info->buffer));
    lua_pushinteger(L, columns);
    unsigned char done = CC_REFRESH_BEEP;
    if (lua_pcall(L, 2, 2, 0) != LUA_OK) {
        lua_pop(L, 1);
    } else {
        const char *insertion = lua_tostring(L, -2), *listing = lua_tostring(L, -1);
        if (insertion && editor.library->insert(editor.line, insertion) == 0) {
            done = CC_REFRESH;
        } else if (listing) {
            draw_leave();
            fprintf(editor.output, "%s\n", listing);
            draw_here();
            done = CC_NORM;
        }
        lua_pop(L, 2);
    }
    if (collects)
        lua_gc(L, LUA_GCRESTART);
    return done;
}

/* The arrows up and down move by a row of the text; from its first or last row they go to another
 * entry of the history. libedit's commands for that are called by pushing keys that we bind to
 * them, and that no keyboard sends. */
#define PREVIOUS_ENTRY "\033\001p"
#define NEXT_ENTRY     "\033\001n"

static unsigned char go_up(EditLine *unused, int key)
{
    const LineInfoW *info = editor.library->line_wide(editor.line);
    int up = layout_up(info->buffer, (size_t)(info->cursor - info->buffer));
    (void)unused;
    (void)key;
    if (up == 0) {
        editor.library->push(editor.line, PREVIOUS_ENTRY);
        return CC_NORM;
    }
    editor.library->cursor(editor.line, -up);
    return CC_CURSOR;
}

static unsigned char go_down(EditLine *unused, int key)
{
    const LineInfoW *info = editor.library->line_wide(editor.line);
    int down = layout_down(info->buffer, (size_t)(info->cursor - info->buffer),
                           (size_t)(info->lastchar - info->buffer));
    (void)unused;
    (void)key;
    if (down == 0) {
        editor.library->push(editor.line, NEXT_ENTRY);
        return CC_NORM;
    }
    editor.library->cursor(editor.line, down);
    return CC_CURSOR;
}

void editor_bind_keys(void)
{
    /* Keys are what terminals send: \032 is Ctrl-Z, \020 Ctrl-P, \016 Ctrl-N, \022 Ctrl-R. */
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
        editor.library->set(editor.line, EL_ADDFN, commands[i].name, commands[i].help,
                            commands[i].function);
        for (size_t k = 0; k < 4 && commands[i].keys[k]; k++)
            editor.library->set(editor.line, EL_BIND, commands[i].keys[k], commands[i].name, NULL);
    }
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        editor.library->set(editor.line, EL_BIND, own[i][0], own[i][1], NULL);
}
