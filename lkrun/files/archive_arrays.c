/* The archive is read twice: first for the arrays that can stay where they are in the mapped file,
 * then for all others, whose bytes are copied and checked. */
#include "files/archive_arrays.h"

#include <stdio.h>
#include <string.h>
#include <lauxlib.h>

#include "base/util.h"
#include "files/archive_read.h"
#include "files/npy.h"
#include "memory/region.h"

#define WHERE     "lk.load"
#define EXTENSION ".npy"
/* How large a text may be: TEXT_FREE bytes, or TEXT_GROWTH times the size of the archive if that is
 * more. It is limited because the JSON of empty tables becomes fifty times as much memory. */
#define TEXT_GROWTH 8
#define TEXT_FREE   ((int64_t)16 << 20)

/* What archive_arrays_load has on the stack, from index `tables` on: the arrays by name, the set of
 * the names of all entries, the reader. */
enum { RESULT, SEEN, READER };

static int raise_entry(lua_State *L, const struct archive_arrays *job,
                       const struct archive_reader *reader, const char *problem)
{
    return raise_error(L, WHERE, "%s: entry '%.200s': %s", job->path, reader->name, problem);
}

static void note_name(lua_State *L, const struct archive_arrays *job,
                      const struct archive_reader *reader, int tables)
{
    lua_pushstring(L, reader->name);
    lua_pushvalue(L, -1);
    if (lua_rawget(L, tables + SEEN) != LUA_TNIL)
        raise_entry(L, job, reader, "there are two of this name");
    lua_pop(L, 1);
    lua_pushboolean(L, true);
    lua_rawset(L, tables + SEEN);
}

/* Pushes the entry's bytes as a string. */
static void push_text(lua_State *L, const struct archive_arrays *job, struct archive_reader *reader)
{
    int64_t bytes = reader->entry.bytes_left, most = reader->file.bytes_left * TEXT_GROWTH;
    if (bytes > (most > TEXT_FREE ? most : TEXT_FREE))
        raise_entry(L, job, reader, "it is larger than the file's size justifies");
    luaL_Buffer buffer;
    char *text = luaL_buffinitsize(L, &buffer, (size_t)bytes);
    if (!source_read(&reader->entry, text, (size_t)bytes) || !archive_entry_end(reader))
        raise_entry(L, job, reader, reader->entry.problem);
    luaL_pushresultsize(&buffer, (size_t)bytes);
}

/* Whether the entry of this name is an array; `length` is that of the name without .npy. */
static bool is_array(const char *name, size_t *length)
{
    size_t whole = strlen(name), extension = strlen(EXTENSION);
    if (whole <= extension || strcmp(name + whole - extension, EXTENSION) != 0)
        return false;
    *length = whole - extension;
    return true;
}

static bool is_wanted(const struct archive_arrays *job, const char *name, size_t length)
{
    return !job->wanted ||
           (strlen(job->wanted) == length && memcmp(job->wanted, name, length) == 0);
}

/* Sets the array's field of the result, unless it is set. The first reading, in place, skips an
 * array that can't stay in the mapped file; the second one loads it. */
static void load_array(lua_State *L, const struct archive_arrays *job,
                       struct archive_reader *reader, size_t length, int tables)
{
    struct source *entry = &reader->entry;
    lua_pushlstring(L, reader->name, length);
    lua_pushvalue(L, -1);
    bool is_there = lua_rawget(L, tables + RESULT) != LUA_TNIL;
    lua_pop(L, 1);
    bool stays = entry->direct && entry->bytes_left > REGION_THRESHOLD;
    entry->must_map = reader->in_place;
    bool read = !is_there && (stays || !reader->in_place) && npy_read(L, entry, job->copy);
    if (read && archive_entry_end(reader)) {
        lua_rawset(L, tables + RESULT);
        return;
    }
    if (!is_there && !reader->in_place)
        raise_entry(L, job, reader, entry->problem);
    lua_pop(L, 1);
}

static void load_entry(lua_State *L, const struct archive_arrays *job,
                       struct archive_reader *reader, int tables)
{
    size_t length;
    note_name(L, job, reader, tables);
    if (!job->wanted && job->text_entry && strcmp(reader->name, job->text_entry) == 0 &&
        reader->entry.bytes_left <= job->text_limit) {
        if (!reader->in_place) {
            push_text(L, job, reader);
            lua_rawseti(L, tables + RESULT, 1);
        }
    } else if (is_array(reader->name, &length)) {
        if (is_wanted(job, reader->name, length))
            load_array(L, job, reader, length, tables);
    } else if (job->arrays_only && !job->wanted) {
        raise_entry(L, job, reader, "it is not a .npy file; name = NAME loads a single array");
    }
}

void archive_arrays_load(lua_State *L, const struct archive_arrays *job)
{
    lua_newtable(L);
    int tables = lua_gettop(L);
    lua_newtable(L);
    struct archive_reader *reader = archive_reader_push(L);
    bool done = archive_reader_open(reader, job->path, job->copy, job->size_limit);
    for (int in_place = 1; in_place >= 0 && done; in_place--) {
        lua_newtable(L);
        lua_replace(L, tables + SEEN);
        int next = archive_reader_begin(reader, in_place) ? archive_reader_next(reader) : -1;
        for (; next > 0; next = archive_reader_next(reader))
            load_entry(L, job, reader, tables);
        done = next == 0;
    }
    if (!done)
        raise_error(L, WHERE, "%s: %s", job->path, reader->file.problem);
    if (job->wanted) {
        lua_getfield(L, tables + RESULT, job->wanted);
        if (lua_isnil(L, -1))
            raise_error(L, WHERE, "%s: there is no entry '%.200s.npy'", job->path, job->wanted);
        lua_pop(L, 1);
    }
    /* The reader is closed first, because closing may reallocate the stack, which lua_settop does
     * not survive in Lua 5.4.4. */
    lua_settop(L, tables + READER);
    lua_closeslot(L, tables + READER);
    lua_settop(L, tables + RESULT);
}
