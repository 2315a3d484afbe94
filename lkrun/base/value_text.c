#include "base/value_text.h"

#include <string.h>
#include <lauxlib.h>

/* Messages call a class of lkrun by the part of its __name after "lkrun.", except these classes,
 * for which that part is no good noun. */
static const struct {
    const char *class, *noun;
} nouns[] = {{"sparse", "sparse matrix"},
             {"output", "output file"},
             {"json.object", "JSON object"},
             {"rows.reader", "row reader"},
             {"random.stream", "random stream"}};

static const char *noun_of(const char *class)
{
    for (size_t i = 0; i < sizeof nouns / sizeof *nouns; i++)
        if (strcmp(class, nouns[i].class) == 0)
            return nouns[i].noun;
    return class;
}

const char *type_text(lua_State *L, int index)
{
    int type = lua_type(L, index);
    if (type <= LUA_TNIL)
        return "nil";
    if (luaL_getmetafield(L, index, "__name") != LUA_TNIL) {
        const char *name = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
        if (strncmp(name, "lkrun.", 6) == 0 && name[6]) {
            const char *noun = noun_of(name + 6);
            return lua_pushfstring(L, "%s %s", strchr("aeio", *noun) ? "an" : "a", noun);
        }
        if (type == LUA_TUSERDATA && *name)
            return lua_pushfstring(L, "a userdata (%s)", name);
        lua_pop(L, 1);
    }
    if (type == LUA_TLIGHTUSERDATA)
        return lua_touserdata(L, index) ? "a light userdata" : "lk.null";
    if (type == LUA_TTHREAD)
        return "a coroutine";
    return lua_pushfstring(L, "a %s", lua_typename(L, type));
}

const char *push_brief(lua_State *L, int index)
{
    switch (lua_type(L, index)) {
    case LUA_TSTRING:
        return lua_pushfstring(L, "'%s'", lua_tostring(L, index));
    case LUA_TNUMBER:
    case LUA_TBOOLEAN:
    case LUA_TNIL:
    case LUA_TNONE:
        return luaL_tolstring(L, index, NULL);
    default:
        return lua_pushstring(L, type_text(L, index));
    }
}

/* type(value) → "a table" */
static int value_type(lua_State *L)
{
    luaL_checkany(L, 1);
    lua_pushstring(L, type_text(L, 1));
    return 1;
}

/* brief(value) → "'text'", "3", "a table" */
static int value_brief(lua_State *L)
{
    luaL_checkany(L, 1);
    push_brief(L, 1);
    return 1;
}

int luaopen_lkrun_core_value_text(lua_State *L);
int luaopen_lkrun_core_value_text(lua_State *L)
{
    luaL_newlib(L,
                ((const luaL_Reg[]){{"type", value_type}, {"brief", value_brief}, {NULL, NULL}}));
    return 1;
}
