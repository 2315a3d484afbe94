/* The module for Lua, lkrun.core.journal. */
#include <string.h>
#include <unistd.h>

#include <lua.h>
#include <lauxlib.h>

#include "rows/journal.h"
#include "rows/journal_thread.h"

#define JOURNAL_CLASS "lkrun.journal"

/* User value of a journal: a table of the signatures by their numbers, and of the numbers by
 * signature. */
enum { JOURNAL_SIGNATURES = 1, JOURNAL_VALUES = JOURNAL_SIGNATURES };

static struct journal *journal_argument(lua_State *L)
{
    struct journal *journal = luaL_checkudata(L, 1, JOURNAL_CLASS);
    if (journal->fd < 0)
        luaL_error(L, "the journal is closed");
    return journal;
}

static int push_done(lua_State *L, const struct journal *journal, bool done)
{
    if (done) {
        lua_pushboolean(L, true);
        return 1;
    }
    lua_pushnil(L);
    lua_pushstring(L, journal->problem);
    return 2;
}

/* open(path) → journal; or nil, why not */
static int open_journal(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    struct journal *journal = lua_newuserdatauv(L, sizeof *journal, JOURNAL_VALUES);
    memset(journal, 0, sizeof *journal);
    journal->fd = -1;
    luaL_setmetatable(L, JOURNAL_CLASS);
    lua_newtable(L);
    lua_setiuservalue(L, -2, JOURNAL_SIGNATURES);
    return journal_open(journal, path) ? 1 : push_done(L, journal, false);
}

/* journal:start(header) → true; or nil, why not */
static int start(lua_State *L)
{
    struct journal *journal = journal_argument(L);
    size_t length;
    const char *header = luaL_checklstring(L, 2, &length);
    lua_newtable(L);
    lua_setiuservalue(L, 1, JOURNAL_SIGNATURES);
    return push_done(L, journal, journal_start(journal, header, length));
}

/* Pops a text, which is the signature of number `id`. */
static void note_signature(lua_State *L, lua_Integer id)
{
    lua_getiuservalue(L, 1, JOURNAL_SIGNATURES);
    lua_pushvalue(L, -2);
    lua_pushinteger(L, id);
    lua_rawset(L, -3);
    lua_pushvalue(L, -2);
    lua_rawseti(L, -2, id);
    lua_pop(L, 2);
}

/* journal:read() → the header and how many tasks are done; false where it is empty; or nil, why not
 */
static int read_journal(lua_State *L)
{
    struct journal *journal = journal_argument(L);
    const char *header;
    size_t length;
    if (!journal_read(journal, &header, &length)) {
        journal_unmap(journal);
        return push_done(L, journal, false);
    }
    if (!header) {
        journal_unmap(journal);
        lua_pushboolean(L, false);
        return 1;
    }
    uint64_t offset = JOURNAL_RECORDS;
    for (const struct journal_record *record; (record = journal_next(journal, &offset));) {
        if (record->kind != JOURNAL_SIGNATURE)
            continue;
        lua_pushlstring(L, (const char *)(record + 1), record->length);
        note_signature(L, record->signature);
    }
    lua_pushlstring(L, header, length);
    lua_pushinteger(L, (lua_Integer)journal->done_count);
    journal_unmap(journal);
    return 2;
}

/* journal:run() → true; or nil, why not */
static int run(lua_State *L)
{
    struct journal *journal = journal_argument(L);
    return push_done(L, journal, journal_run(journal));
}

/* Pushes the number of the signature at `index`; a new one is noted, and added to the journal. */
static bool find_signature(lua_State *L, struct journal *journal, int index)
{
    lua_getiuservalue(L, 1, JOURNAL_SIGNATURES);
    lua_pushvalue(L, index);
    if (lua_rawget(L, -2) == LUA_TNUMBER)
        return true;
    lua_Integer id = (lua_Integer)lua_rawlen(L, -2) + 1;
    size_t length;
    const char *text = luaL_checklstring(L, index, &length);
    if (id > UINT16_MAX)
        return journal_fail(
            journal, "the results have more than 65,535 sets of columns; name them in `columns`");
    if (!journal_add(journal, JOURNAL_SIGNATURE, (uint16_t)id, 0, text, length))
        return false;
    lua_pushvalue(L, index);
    note_signature(L, id);
    lua_pushinteger(L, id);
    return true;
}

/* journal:add(number, bytes, signature) → true; or nil, why not */
static int add(lua_State *L)
{
    struct journal *journal = journal_argument(L);
    uint64_t number = (uint64_t)luaL_checkinteger(L, 2);
    size_t length;
    const char *bytes = luaL_optlstring(L, 3, "", &length);
    lua_Integer signature = 0;
    lua_settop(L, 4);
    if (!lua_isnil(L, 4)) {
        if (!find_signature(L, journal, 4))
            return push_done(L, journal, false);
        signature = lua_tointeger(L, -1);
    }
    return push_done(
        L, journal,
        journal_add(journal, JOURNAL_RESULT, (uint16_t)signature, number, bytes, length));
}

/* journal:is_done(number) → boolean */
static int is_done(lua_State *L)
{
    const struct journal *journal = journal_argument(L);
    lua_pushboolean(L, journal_is_done(journal, (uint64_t)luaL_checkinteger(L, 2)));
    return 1;
}

/* journal:stop() → true, with every record on the disk; or nil, why not */
static int stop(lua_State *L)
{
    struct journal *journal = journal_argument(L);
    return push_done(L, journal, journal_stop(journal));
}

/* A step of journal:each: number and place of a result. */
static int each_step(lua_State *L)
{
    struct journal *journal = lua_touserdata(L, lua_upvalueindex(1));
    uint64_t offset = (uint64_t)lua_tointeger(L, lua_upvalueindex(2));
    for (;;) {
        uint64_t place = offset;
        const struct journal_record *record = journal_next(journal, &offset);
        if (!record)
            return 0;
        if (record->kind != JOURNAL_RESULT)
            continue;
        lua_pushinteger(L, (lua_Integer)offset);
        lua_replace(L, lua_upvalueindex(2));
        lua_pushinteger(L, (lua_Integer)record->number);
        lua_pushinteger(L, (lua_Integer)place);
        return 2;
    }
}

/* journal:each() → an iterator over the numbers and places of all results, in the order in which
 * they came; or nil, why not. To be called when nothing is added any more. */
static int each(lua_State *L)
{
    struct journal *journal = journal_argument(L);
    journal_unmap(journal);
    if (!journal_map(journal))
        return push_done(L, journal, false);
    lua_settop(L, 1);
    lua_pushinteger(L, JOURNAL_RECORDS);
    lua_pushcclosure(L, each_step, 2);
    return 1;
}

/* journal:at(place) → bytes and signature of the result whose place each() gave */
static int at(lua_State *L)
{
    const struct journal *journal = journal_argument(L);
    const struct journal_record *record =
        (const void *)(journal->mapped + (size_t)luaL_checkinteger(L, 2));
    lua_pushlstring(L, (const char *)(record + 1), record->length);
    if (record->signature == 0)
        return 1;
    lua_getiuservalue(L, 1, JOURNAL_SIGNATURES);
    lua_rawgeti(L, -1, record->signature);
    lua_remove(L, -2);
    return 2;
}

/* journal:remove() → true; or nil, why not */
static int remove_file(lua_State *L)
{
    struct journal *journal = journal_argument(L);
    return push_done(L, journal, journal_remove(journal));
}

static int close_journal(lua_State *L)
{
    struct journal *journal = luaL_checkudata(L, 1, JOURNAL_CLASS);
    if (journal->fd >= 0)
        journal_close(journal);
    return 0;
}

static const luaL_Reg methods[] = {{"start", start},
                                   {"read", read_journal},
                                   {"run", run},
                                   {"add", add},
                                   {"is_done", is_done},
                                   {"stop", stop},
                                   {"each", each},
                                   {"at", at},
                                   {"remove", remove_file},
                                   {"close", close_journal},
                                   {"__close", close_journal},
                                   {"__gc", close_journal},
                                   {NULL, NULL}};
static const luaL_Reg functions[] = {{"open", open_journal}, {NULL, NULL}};

int luaopen_lkrun_core_journal(lua_State *L);
int luaopen_lkrun_core_journal(lua_State *L)
{
    register_class(L, JOURNAL_CLASS, methods);
    luaL_newlib(L, functions);
    return 1;
}
