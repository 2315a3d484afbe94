/* The same rules as libedit draws by: tabs to every eighth column, control characters as two, a
 * character that does not fit goes to the next row. */
#include "editor_layout.h"

#include <wctype.h>

static int width_of(wchar_t character)
{
    int width = wcwidth(character);
    return width >= 0 ? width : iswcntrl((wint_t)character) ? 2 : 8; /* 8: \U+1234 */
}

struct layout layout_of(const wchar_t *text, size_t cursor, size_t length, int prompt, int columns)
{
    struct layout layout = {0};
    int row = prompt / columns, column = prompt % columns;
    for (size_t i = 0;; i++) {
        if (i == cursor)
            layout.cursor = row;
        if (i >= length)
            break;
        if (text[i] == L'\n') {
            row++;
            column = 0;
            continue;
        }
        int width = text[i] == L'\t' ? 8 - column % 8 : width_of(text[i]);
        if (column + width > columns) {
            row++;
            column = text[i] == L'\t' ? (column + width) % columns : width;
        } else {
            column += width;
        }
        if (column == columns) {
            row++;
            column = 0;
        }
    }
    layout.last = row;
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
        if (character == L'\r' || (character == L'\n' && last != L'\r'))
            text[to++] = L'\n';
        else if (character == L'\t' || !iswcntrl((wint_t)character))
            text[to++] = character;
        last = character;
    }
    while (to > 0 && text[to - 1] == L'\n')
        to--;
    return to;
}
