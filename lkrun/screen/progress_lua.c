/* The userdata holds a pointer to its display, and owns it. */
#include "screen/progress_lua.h"

#include <inttypes.h>
#include <string.h>

#include "base/util.h"
#include "base/value_text.h"
#include "screen/progress_show.h"
#include "screen/progress_watch.h"

#define PROGRESS_CLASS "lkrun.progress"

static const char *const state_names[] = {"dispatched", "in-progress", "finished", NULL};
#define STATE_NAMES "expected dispatched, in-progress or finished"

static struct progress **holder_check(lua_State *L, int index)
{
    struct progress **holder = luaL_checkudata(L, index, PROGRESS_CLASS);
    if (!*holder)
        raise_error(L, "progress", "the display was collected; make another one");
    return holder;
}

struct progress *progress_check(lua_State *L, int index)
{
    struct progress *progress = *holder_check(L, index);
    if (progress_is_foreign(progress))
        raise_error(L, "progress",
                    "the display was made by the parent process; make one in the task with "
                    "lk.invoke_progress, or give it to the invoker");
    return progress;
}

static const char *optional_text(lua_State *L, int index, const char *what)
{
    if (lua_isnoneornil(L, index))
        return NULL;
    if (lua_type(L, index) != LUA_TSTRING)
        raise_error(L, "lk.invoke_progress", "%s is %s; expected a string", what,
                    type_text(L, index));
    return lua_tostring(L, index);
}

static const char *optional_logger(lua_State *L, int index)
{
    const char *held = luaL_testudata(L, index, "lkrun.logger");
    return held ? held : optional_text(L, index, "the logger");
}

static int64_t optional_total(lua_State *L, int index)
{
    if (lua_isnoneornil(L, index))
        return -1;
    int exact = 0;
    lua_Integer total = lua_type(L, index) == LUA_TNUMBER ? lua_tointegerx(L, index, &exact) : 0;
    if (!exact || total < 0)
        raise_error(L, "lk.invoke_progress",
                    "the total is %.80s; expected a whole number from 0 on, or nil",
                    push_brief(L, index));
    return total;
}

/* open(logger, label, total, unit) → display */
static int object_open(lua_State *L)
{
    const char *logger = optional_logger(L, 1);
    const char *label = optional_text(L, 2, "the label");
    int64_t total = optional_total(L, 3);
    const char *unit = optional_text(L, 4, "the unit");
    progress_check_environment(L);
    progress_install(L);
    struct progress **holder = lua_newuserdatauv(L, sizeof *holder, 0);
    *holder = progress_open(logger, label, total, unit);
    if (!*holder)
        return raise_error(L, "lk.invoke_progress", "no memory for a display");
    luaL_setmetatable(L, PROGRESS_CLASS);
    return 1;
}

static uint64_t *state_at(lua_State *L, int index, struct progress_state *state)
{
    uint64_t *counts[] = {&state->dispatched, &state->in_progress, &state->finished};
    const char *name = lua_tostring(L, index);
    for (int i = 0; name && state_names[i]; i++)
        if (strcmp(name, state_names[i]) == 0)
            return counts[i];
    raise_error(L, "progress:update", "%.80s is not a state; " STATE_NAMES, push_brief(L, index));
    return NULL;
}

static void move_tasks(lua_State *L, uint64_t *count, lua_Integer tasks, const char *state)
{
    lua_Integer now = (lua_Integer)*count;
    if (tasks < 0 ? now + tasks < 0 : now > LUA_MAXINTEGER - tasks)
        raise_error(L, "progress:update",
                    "%s has %" PRId64 " tasks; moving %" PRId64 " leaves too %s", state,
                    (int64_t)now, (int64_t)tasks, tasks < 0 ? "few" : "many");
    *count = (uint64_t)(now + tasks);
}

/* update(n, state, from_state): n more tasks in `state`, and n fewer in `from_state`. */
static int object_update(lua_State *L)
{
    struct progress *progress = progress_check(L, 1);
    int exact = 1;
    lua_Integer tasks = 1;
    if (!lua_isnoneornil(L, 2))
        tasks = lua_type(L, 2) == LUA_TNUMBER ? lua_tointegerx(L, 2, &exact) : (exact = 0);
    if (!exact || tasks == LUA_MININTEGER)
        return raise_error(L, "progress:update", "n is %.80s; expected a whole number",
                           push_brief(L, 2));
    if (progress->finished)
        return raise_error(L, "progress:update", "the display has ended; make another one");
    struct progress_state state = progress->state;
    uint64_t *to = lua_isnoneornil(L, 3) ? &state.finished : state_at(L, 3, &state);
    uint64_t *from = lua_isnoneornil(L, 4) ? NULL : state_at(L, 4, &state);
    move_tasks(L, to, tasks, lua_isnoneornil(L, 3) ? "finished" : lua_tostring(L, 3));
    if (from)
        move_tasks(L, from, -tasks, lua_tostring(L, 4));
    progress_set(progress, &state);
    return 0;
}

static int object_finish(lua_State *L)
{
    progress_finish(*holder_check(L, 1));
    return 0;
}

static int object_collect(lua_State *L)
{
    struct progress **holder = luaL_checkudata(L, 1, PROGRESS_CLASS);
    progress_free(*holder);
    *holder = NULL;
    return 0;
}

static int push_text(lua_State *L, const char *text)
{
    lua_pushstring(L, text); /* nil for NULL */
    return 1;
}

/* Methods, which the upvalue holds, are looked up before fields. */
static int object_index(lua_State *L)
{
    const struct progress *progress = *holder_check(L, 1);
    const char *name = lua_tostring(L, 2);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL || !name)
        return 1;
    if (strcmp(name, "total") == 0 && progress->total >= 0)
        lua_pushinteger(L, progress->total);
    else if (strcmp(name, "label") == 0)
        return push_text(L, progress->label);
    else if (strcmp(name, "unit") == 0)
        return push_text(L, progress->unit ? progress->unit : "tasks");
    else if (strcmp(name, "logger") == 0)
        return push_text(L, progress->logger);
    else if (strcmp(name, "dispatched") == 0)
        lua_pushinteger(L, (lua_Integer)progress->state.dispatched);
    else if (strcmp(name, "in_progress") == 0)
        lua_pushinteger(L, (lua_Integer)progress->state.in_progress);
    else if (strcmp(name, "finished") == 0)
        lua_pushinteger(L, (lua_Integer)progress->state.finished);
    else if (strcmp(name, "ended") == 0)
        lua_pushboolean(L, progress->finished);
    else
        lua_pushnil(L);
    return 1;
}

/* set_job(json): see progress_set_job. */
static int object_set_job(lua_State *L)
{
    if (!progress_set_job(luaL_optstring(L, 1, NULL)))
        return raise_error(L, "progress",
                           "the job is not a JSON object; expected rule, wildcards and outputs");
    return 0;
}

static const luaL_Reg methods[] = {
    {"update", object_update},
    {"finish", object_finish},
    {NULL, NULL},
};

static const luaL_Reg own[] = {
    {"__close", object_finish},
    {"__gc", object_collect},
    {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"open", object_open},
    {"set_job", object_set_job},
    {NULL, NULL},
};

int luaopen_lkrun_core_progress(lua_State *L);
int luaopen_lkrun_core_progress(lua_State *L)
{
    progress_check_environment(L);
    register_class(L, PROGRESS_CLASS, own);
    luaL_getmetatable(L, PROGRESS_CLASS);
    luaL_newlib(L, methods);
    lua_pushcclosure(L, object_index, 1);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    luaL_newlib(L, functions);
    return 1;
}
