/* Files of rows as Lua reads them: a reader gives records as the file has them, one string each,
 * and whoever wants their fields takes them apart: a worker, for a task. */
#include <sys/stat.h>

#include <lua.h>
#include <lauxlib.h>

#include "base/util.h"
#include "machine/signals.h"
#include "rows/csv_decode.h"
#include "rows/csv_encode.h"
#include "rows/npy_rows.h"
#include "rows/record.h"

#define READER_CLASS "lkrun.rows.reader"

/* User values of a reader. */
enum { READER_PATH = 1, READER_VALUES = READER_PATH };

struct row_reader {
    struct record_reader records;
    int64_t number;      /* of the last record that was given */
    int64_t last_number; /* up to which each() gives records */
};

static struct row_reader *reader_check(lua_State *L)
{
    struct row_reader *reader = luaL_checkudata(L, 1, READER_CLASS);
    if (!reader->records.data && reader->records.fd < 0)
        luaL_error(L, "the reader is closed");
    return reader;
}

static int raise_problem(lua_State *L, struct row_reader *reader, int index, bool with_line)
{
    if (reader->records.interrupted)
        signal_raise_if_pending(L);
    lua_getiuservalue(L, index, READER_PATH);
    const char *path = lua_tostring(L, -1);
    if (with_line)
        lua_pushfstring(L, "%s:%I: %s", path, (LUAI_UACINT)reader->records.started_line,
                        reader->records.problem);
    else
        lua_pushfstring(L, "%s: %s", path, reader->records.problem);
    return lua_error(L);
}

/* Moves to the next record; false at the end. The reader is at `index`. */
static bool advance(lua_State *L, struct row_reader *reader, int index, const char **bytes,
                    size_t *length)
{
    enum record_result result = record_next(&reader->records, bytes, length);
    if (result == RECORD_BAD)
        raise_problem(L, reader, index, true);
    reader->number += result == RECORD_FOUND;
    return result == RECORD_FOUND;
}

static const char *const formats[] = {
    [RECORD_LINES] = "lines", [RECORD_JSON] = "jsonl", [RECORD_CSV] = "csv", NULL};

/* open(path, name, format, delimiter) → reader. `name` is what messages call the file. */
static int reader_open(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    luaL_checkstring(L, 2);
    enum record_format format = (enum record_format)luaL_checkoption(L, 3, NULL, formats);
    const char *delimiter = luaL_optstring(L, 4, "");
    struct row_reader *reader = lua_newuserdatauv(L, sizeof *reader, READER_VALUES);
    *reader = (struct row_reader){.records = {.fd = -1}};
    luaL_setmetatable(L, READER_CLASS);
    lua_pushvalue(L, 2);
    lua_setiuservalue(L, -2, READER_PATH);
    if (!record_open(&reader->records, path, format, *delimiter))
        return raise_problem(L, reader, lua_gettop(L), false);
    return 1;
}

/* over(text, delimiter) → reader of the CSV records in a string. */
static int reader_over(lua_State *L)
{
    size_t length;
    const char *text = luaL_checklstring(L, 1, &length);
    const char *delimiter = luaL_checkstring(L, 2);
    struct row_reader *reader = lua_newuserdatauv(L, sizeof *reader, READER_VALUES);
    *reader = (struct row_reader){.records = {.fd = -1}};
    luaL_setmetatable(L, READER_CLASS);
    lua_pushliteral(L, "text");
    lua_setiuservalue(L, -2, READER_PATH);
    if (!record_over(&reader->records, text, length, *delimiter))
        return raise_problem(L, reader, lua_gettop(L), false);
    return 1;
}

/* reader:next() → the line it begins on, the record; nothing at the end. */
static int reader_next(lua_State *L)
{
    struct row_reader *reader = reader_check(L);
    const char *bytes;
    size_t length;
    if (!advance(L, reader, 1, &bytes, &length))
        return 0;
    lua_pushinteger(L, reader->records.started_line);
    lua_pushlstring(L, bytes, length);
    return 2;
}

/* reader:skip(n) → how many records it skipped: n, or fewer at the end; all if n is nil */
static int reader_skip(lua_State *L)
{
    struct row_reader *reader = reader_check(L);
    lua_Integer most = luaL_optinteger(L, 2, LUA_MAXINTEGER), done = 0;
    const char *bytes;
    size_t length;
    for (; done < most && advance(L, reader, 1, &bytes, &length); done++)
        if (done % 65536 == 0)
            signal_raise_if_pending(L);
    lua_pushinteger(L, done);
    return 1;
}

/* A step of reader:each: the record's number, and the record. */
static int each_step(lua_State *L)
{
    struct row_reader *reader = lua_touserdata(L, lua_upvalueindex(1));
    const char *bytes;
    size_t length;
    if (reader->number >= reader->last_number ||
        !advance(L, reader, lua_upvalueindex(1), &bytes, &length))
        return 0;
    lua_pushinteger(L, reader->number);
    lua_pushlstring(L, bytes, length);
    return 2;
}

/* reader:each(base, last) → an iterator for a generic `for` over the records from here on. They are
 * numbered from base + 1; it ends after number `last`. */
static int reader_each(lua_State *L)
{
    struct row_reader *reader = reader_check(L);
    reader->number = luaL_checkinteger(L, 2);
    reader->last_number = luaL_optinteger(L, 3, LUA_MAXINTEGER);
    lua_settop(L, 1);
    lua_pushcclosure(L, each_step, 1);
    return 1;
}

/* reader:line() → the line on which the last record began. */
static int reader_line(lua_State *L)
{
    lua_pushinteger(L, reader_check(L)->records.started_line);
    return 1;
}

/* reader:delimiter() → the one that was given, or that was found in the first record */
static int reader_delimiter(lua_State *L)
{
    lua_pushlstring(L, &reader_check(L)->records.delimiter, 1);
    return 1;
}

/* reader:again() → whether the same records could be read once more: from a file, not from a pipe
 */
static int reader_again(lua_State *L)
{
    struct stat status;
    lua_pushboolean(L, fstat(reader_check(L)->records.fd, &status) == 0 && S_ISREG(status.st_mode));
    return 1;
}

static int reader_close(lua_State *L)
{
    struct row_reader *reader = luaL_checkudata(L, 1, READER_CLASS);
    record_close(&reader->records);
    return 0;
}

static const luaL_Reg methods[] = {{"next", reader_next},           {"skip", reader_skip},
                                   {"each", reader_each},           {"line", reader_line},
                                   {"delimiter", reader_delimiter}, {"again", reader_again},
                                   {"close", reader_close},         {"__close", reader_close},
                                   {"__gc", reader_close},          {NULL, NULL}};

static const luaL_Reg functions[] = {{"open", reader_open},
                                     {"over", reader_over},
                                     {"decoder", csv_decoder},
                                     {"encoder", csv_encoder},
                                     {"npy_encoder", npy_encoder},
                                     {"npy_header", npy_header_text},
                                     {NULL, NULL}};

int luaopen_lkrun_core_rows(lua_State *L);
int luaopen_lkrun_core_rows(lua_State *L)
{
    register_class(L, READER_CLASS, methods);
    csv_encode_open(L);
    luaL_newlib(L, functions);
    return 1;
}
