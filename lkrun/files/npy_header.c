#include "files/npy_header.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define NATIVE '<'
#else
#define NATIVE '>'
#endif

/* What NumPy calls our dtypes, without the byte order. */
static const char *const codes[DTYPE_COUNT] = {"f8", "f4", "i8", "i4", "u1", "b1"};

struct npy_cursor {
    const char *at, *end;
    char *problem;
    size_t room;
};

static bool fail(struct npy_cursor *cursor, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static bool fail(struct npy_cursor *cursor, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(cursor->problem, cursor->room, format, arguments);
    va_end(arguments);
    return false;
}

/* Skips blanks and returns the next character without taking it; '\0' at the end. */
static char next(struct npy_cursor *cursor)
{
    while (cursor->at < cursor->end && *cursor->at && strchr(" \t\r\n\f", *cursor->at))
        cursor->at++;
    return cursor->at < cursor->end ? *cursor->at : '\0';
}

static bool take(struct npy_cursor *cursor, char wanted)
{
    if (next(cursor) != wanted || cursor->at == cursor->end)
        return false;
    cursor->at++;
    return true;
}

static bool take_word(struct npy_cursor *cursor, const char *word)
{
    size_t length = strlen(word);
    next(cursor);
    if ((size_t)(cursor->end - cursor->at) < length || memcmp(cursor->at, word, length) != 0)
        return false;
    cursor->at += length;
    return true;
}

/* How many of the next characters a message shows: up to 40, as long as they are plain text. */
static int shown(const struct npy_cursor *cursor)
{
    int count = 0;
    while (count < 40 && cursor->at + count < cursor->end && cursor->at[count] >= ' ' &&
           cursor->at[count] <= '~')
        count++;
    return count;
}

static bool unexpected(struct npy_cursor *cursor, const char *wanted)
{
    next(cursor);
    if (cursor->at == cursor->end)
        return fail(cursor, "its header ends; expected %s", wanted);
    return fail(cursor, "its header has \"%.*s\"; expected %s", shown(cursor), cursor->at, wanted);
}

/* Takes a string without escapes, which is all that keys and dtypes need. */
static bool take_string(struct npy_cursor *cursor, char *text, size_t room, const char *wanted)
{
    char quote = next(cursor);
    if (quote != '\'' && quote != '"')
        return unexpected(cursor, wanted);
    const char *start = cursor->at + 1, *end = start;
    while (end < cursor->end && *end != quote)
        end++;
    size_t length = (size_t)(end - start);
    if (end == cursor->end || length >= room || memchr(start, '\\', length) ||
        memchr(start, '\0', length))
        return unexpected(cursor, wanted);
    memcpy(text, start, length);
    text[length] = '\0';
    cursor->at = end + 1;
    return true;
}

static const char *dtype_meaning(const char *code)
{
    static const struct {
        const char *code, *meaning;
    } meanings[] = {{"f16", "long double"},  {"c8", "complex64"}, {"c16", "complex128"},
                    {"c32", "long complex"}, {"i1", "int8"},      {"i2", "int16"},
                    {"u2", "uint16"},        {"u4", "uint32"},    {"u8", "uint64"},
                    {"O", "Python objects"}};
    for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++)
        if (strcmp(code, meanings[i].code) == 0)
            return meanings[i].meaning;
    switch (code[0]) {
    case 'S':
    case 'a':
        return "byte strings";
    case 'U':
        return "strings";
    case 'M':
    case 'm':
        return "dates or times";
    case 'V':
        return "raw bytes";
    default:
        return "unknown";
    }
}

static bool take_descr(struct npy_cursor *cursor, struct npy_header *header)
{
    char first = next(cursor);
    if (first == '[' || first == '(')
        return fail(cursor,
                    "its dtype is structured, %.*s...; expected f64, f32, i64, i32, u8, bool or "
                    "f16",
                    shown(cursor), cursor->at);
    char text[64];
    if (!take_string(cursor, text, sizeof text, "a dtype"))
        return false;
    const char *code = text;
    char order = NATIVE;
    if (*code && strchr("<>=|", *code))
        order = *code++;
    struct stored *stored = &header->stored;
    bool is_half = strcmp(code, "f2") == 0, known = is_half;
    stored->form = is_half ? STORED_F16 : STORED_AS_IS;
    stored->dtype = DTYPE_F32;
    for (int dtype = 0; dtype < DTYPE_COUNT && !known; dtype++)
        if ((known = strcmp(code, codes[dtype]) == 0))
            stored->dtype = (enum dtype)dtype;
    stored->swapped = known && (order == '<' || order == '>') && order != NATIVE &&
                      stored_element_size(stored) > 1;
    return known ||
           fail(cursor, "its dtype is %s (%s); expected f64, f32, i64, i32, u8, bool or f16", text,
                dtype_meaning(code));
}

static bool take_size(struct npy_cursor *cursor, int64_t *size)
{
    char digit = next(cursor);
    if (digit == '-')
        return fail(cursor, "its shape has a negative size, %.*s", shown(cursor), cursor->at);
    if (digit < '0' || digit > '9')
        return unexpected(cursor, "a size");
    *size = 0;
    for (; cursor->at < cursor->end && *cursor->at >= '0' && *cursor->at <= '9'; cursor->at++)
        if (__builtin_mul_overflow(*size, (int64_t)10, size) ||
            __builtin_add_overflow(*size, (int64_t)(*cursor->at - '0'), size))
            return fail(cursor, "its shape has a size beyond 2^63");
    return true;
}

static bool take_shape(struct npy_cursor *cursor, struct npy_header *header)
{
    if (!take(cursor, '('))
        return unexpected(cursor, "a tuple of sizes");
    bool comma = true;
    struct stored *stored = &header->stored;
    stored->dim = 0;
    while (!take(cursor, ')')) {
        if (!comma)
            return unexpected(cursor, "a comma or a closing parenthesis");
        if (stored->dim == TENSOR_MAX_DIM)
            return fail(cursor, "its shape has more dimensions than a tensor; expected at most %d",
                        TENSOR_MAX_DIM);
        if (!take_size(cursor, &stored->size[stored->dim++]))
            return false;
        comma = take(cursor, ',');
    }
    if (stored->dim == 1 && !comma)
        return fail(cursor, "its shape is a number in parentheses; expected a tuple");
    return true;
}

static bool take_order(struct npy_cursor *cursor, struct npy_header *header)
{
    header->fortran = take_word(cursor, "True");
    return header->fortran || take_word(cursor, "False") || unexpected(cursor, "True or False");
}

static bool take_item(struct npy_cursor *cursor, struct npy_header *header, unsigned *seen)
{
    static const struct {
        const char *key;
        bool (*take_value)(struct npy_cursor *cursor, struct npy_header *header);
    } items[] = {{"descr", take_descr}, {"fortran_order", take_order}, {"shape", take_shape}};
    char key[32];
    if (!take_string(cursor, key, sizeof key, "a key"))
        return false;
    for (unsigned i = 0; i < 3; i++) {
        if (strcmp(key, items[i].key) != 0)
            continue;
        if (*seen & 1u << i)
            return fail(cursor, "its header has the key %s twice", key);
        *seen |= 1u << i;
        if (!take(cursor, ':'))
            return unexpected(cursor, "a colon");
        return items[i].take_value(cursor, header);
    }
    return fail(cursor, "its header has the key %s; expected descr, fortran_order and shape", key);
}

bool npy_parse(const char *text, size_t length, struct npy_header *header, char *problem,
               size_t room)
{
    struct npy_cursor cursor = {text, text + length, problem, room};
    unsigned seen = 0;
    bool comma = true;
    if (!take(&cursor, '{'))
        return unexpected(&cursor, "a dictionary");
    while (!take(&cursor, '}')) {
        if (!comma)
            return unexpected(&cursor, "a comma or a closing brace");
        if (!take_item(&cursor, header, &seen))
            return false;
        comma = take(&cursor, ',');
    }
    next(&cursor);
    if (cursor.at != cursor.end)
        return unexpected(&cursor, "the end");
    if (seen != 7)
        return fail(&cursor, "its header lacks descr, fortran_order or shape");
    return true;
}

/* NumPy leaves room for this many digits of the size that grows when rows are appended. */
#define GROWTH_DIGITS 21

static int format_dictionary(const struct npy_header *header, char *text, size_t room)
{
    const struct stored *stored = &header->stored;
    char order = dtype_sizes[stored->dtype] == 1 ? '|' : NATIVE;
    int length = snprintf(text, room, "{'descr': '%c%s', 'fortran_order': %s, 'shape': (", order,
                          codes[stored->dtype], header->fortran ? "True" : "False");
    for (int d = 0; d < stored->dim; d++)
        length += snprintf(text + length, room - (size_t)length, d ? ", %lld" : "%lld",
                           (long long)stored->size[d]);
    length += snprintf(text + length, room - (size_t)length, "%s), }", stored->dim == 1 ? "," : "");
    if (stored->dim == 0)
        return length;
    int64_t growing = stored->size[header->fortran ? stored->dim - 1 : 0];
    int digits = snprintf(NULL, 0, "%lld", (long long)growing);
    return length +
           snprintf(text + length, room - (size_t)length, "%*s", GROWTH_DIGITS - digits, "");
}

size_t npy_format(const struct npy_header *header, size_t extra, char text[NPY_HEADER_MOST])
{
    const size_t preamble = NPY_MAGIC_LENGTH + 4;
    size_t length = (size_t)format_dictionary(header, text + preamble, NPY_HEADER_MOST - preamble);
    size_t used = preamble + length + 1;
    size_t padding = 64 - used % 64 + extra; /* as in NumPy, 64 where none is needed */
    memset(text + preamble + length, ' ', padding);
    text[preamble + length + padding] = '\n';
    size_t dictionary = length + padding + 1;
    memcpy(text, NPY_MAGIC "\x01", NPY_MAGIC_LENGTH + 2); /* version 1.0 */
    text[NPY_MAGIC_LENGTH + 2] = (char)(dictionary & 0xff);
    text[NPY_MAGIC_LENGTH + 3] = (char)(dictionary >> 8);
    return preamble + dictionary;
}
