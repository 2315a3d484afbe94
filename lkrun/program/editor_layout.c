/* These are the rules by which libedit draws: a tab goes to the next column that is a multiple of
 * 8, a control character takes two columns, a character that does not fit goes to the next row. */
#include "program/editor_layout.h"

#include <stdbool.h>
#include <wctype.h>

static int width_of(wchar_t character)
{
    int width = wcwidth(character);
    /* libedit draws what cannot be printed as ^A or as \U+1234. */
    return width >= 0 ? width : iswcntrl((wint_t)character) ? 2 : 8;
}

/* A place on a screen. */
struct place {
    int columns; /* width of the screen */
    int row, column;
};

/* Moves the place past a character. True where the character filled its row. */
static bool pass(struct place *place, wchar_t character)
{
    int width = character == L'\t' ? 8 - place->column % 8 : width_of(character);
    if (character == L'\n') {
        place->row++;
        place->column = 0;
        return false;
    }
    if (place->column + width > place->columns) {
        place->row++;
        place->column = character == L'\t' ? (place->column + width) % place->columns : width;
    } else {
        place->column += width;
    }
    if (place->column < place->columns)
        return false;
    place->row++;
    place->column = 0;
    return true;
}

struct layout layout_of(const wchar_t *text, size_t cursor, size_t length, int prompt, int columns,
                        int drawn)
{
    struct layout layout = {0};
    struct place now = {columns, prompt / columns, prompt % columns};
    struct place then = {drawn, prompt / drawn, prompt % drawn};
    for (size_t i = 0;; i++) {
        if (i == cursor)
            layout.cursor = now.row;
        if (i >= length)
            break;
        bool broke = pass(&now, text[i]);
        /* libedit broke the row after this space itself, and the terminal keeps that break. */
        if (pass(&then, text[i]) && text[i] == L' ' && !broke && now.column) {
            now.row++;
            now.column = 0;
        }
    }
    layout.last = now.row;
    return layout;
}

int layout_up(const wchar_t *text, size_t cursor)
{
    size_t start = cursor;
    while (start > 0 && text[start - 1] != L'\n')
        start--;
    if (start == 0)
        return 0;
    size_t column = cursor - start, above = start - 1;
    while (above > 0 && text[above - 1] != L'\n')
        above--;
    size_t length = start - 1 - above;
    return (int)(cursor - (above + (column < length ? column : length)));
}

int layout_down(const wchar_t *text, size_t cursor, size_t length)
{
    size_t start = cursor, below = cursor;
    while (start > 0 && text[start - 1] != L'\n')
        start--;
    while (below < length && text[below] != L'\n')
        below++;
    if (below == length)
        return 0;
    size_t end = ++below;
    while (end < length && text[end] != L'\n')
        end++;
    size_t column = cursor - start;
    return (int)(below + (column < end - below ? column : end - below) - cursor);
}

size_t layout_clean(wchar_t *text, size_t length)
{
    size_t to = 0;
    wchar_t last = 0;
    for (size_t i = 0; i < length; i++) {
        wchar_t character = text[i];
        bool is_end = character == L'\r' || character == L'\n';
        bool is_pair = is_end && character != last && (last == L'\r' || last == L'\n');
        last = is_pair ? 0 : character;
        if (is_end && !is_pair)
            text[to++] = L'\n';
        else if (character == L'\t' || !iswcntrl((wint_t)character))
            text[to++] = character;
    }
    while (to > 0 && text[to - 1] == L'\n')
        to--;
    return to;
}
