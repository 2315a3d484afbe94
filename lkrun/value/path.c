#include "value/path.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define ROOT_MAX   200 /* bytes */
#define STRING_MAX 48  /* bytes of a key that are shown */
/* One key takes at most 4 × STRING_MAX + 8 bytes. A path that is longer than FRONT_MAX has room for
 * its last two keys only. */
#define FRONT_MAX (PATH_SIZE - 3 * (4 * STRING_MAX + 8))

_Static_assert(ROOT_MAX <= FRONT_MAX, "the root is always shown");

struct path_text {
    char *bytes; /* [PATH_SIZE], 0-terminated */
    size_t length;
};

__attribute__((format(printf, 2, 3))) static void add(struct path_text *text, const char *format,
                                                      ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text->bytes + text->length, PATH_SIZE - text->length, format, arguments);
    va_end(arguments);
    if (length > 0)
        text->length += (size_t)length;
    if (text->length >= PATH_SIZE)
        text->length = PATH_SIZE - 1;
}

/* Letters as names in Lua have them, whatever the locale. */
static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_name(const char *bytes, size_t length)
{
    if (length == 0 || length > STRING_MAX || !is_letter(bytes[0]))
        return false;
    for (size_t i = 1; i < length; i++)
        if (!is_letter(bytes[i]) && !is_digit(bytes[i]))
            return false;
    return true;
}

static void add_string(struct path_text *text, const char *bytes, size_t length)
{
    if (is_name(bytes, length)) {
        add(text, ".%.*s", (int)length, bytes);
        return;
    }
    add(text, "[\"");
    for (size_t i = 0; i < length && i < STRING_MAX; i++) {
        unsigned char c = (unsigned char)bytes[i];
        if (c == '"' || c == '\\')
            add(text, "\\%c", c);
        else if (c < 0x20 || c >= 0x7F)
            add(text, "\\%03d", c);
        else
            add(text, "%c", c);
    }
    add(text, length > STRING_MAX ? "...\"]" : "\"]");
}

static void add_key(lua_State *L, struct path_text *text, int index)
{
    switch (lua_type(L, index)) {
    case LUA_TSTRING: {
        size_t length;
        const char *bytes = lua_tolstring(L, index, &length);
        add_string(text, bytes, length);
        break;
    }
    case LUA_TNUMBER:
        if (lua_isinteger(L, index))
            add(text, "[%lld]", (long long)lua_tointeger(L, index));
        else
            add(text, "[%.14g]", lua_tonumber(L, index));
        break;
    case LUA_TBOOLEAN:
        add(text, "[%s]", lua_toboolean(L, index) ? "true" : "false");
        break;
    case LUA_TLIGHTUSERDATA:
        add(text, lua_touserdata(L, index) ? "[userdata]" : "[null]");
        break;
    default:
        add(text, "[%s]", lua_typename(L, lua_type(L, index)));
    }
}

void path_write(lua_State *L, const char *root, int first, int step, size_t count,
                char bytes[PATH_SIZE])
{
    struct path_text text = {bytes, 0};
    add(&text, "%.*s", ROOT_MAX, root);
    for (size_t i = 0; i < count; i++) {
        if (text.length > FRONT_MAX && i + 2 < count) {
            add(&text, " ... ");
            i = count - 2;
        }
        add_key(L, &text, first + step * (int)i);
    }
}
