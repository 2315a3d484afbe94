/* The text of the embedded Lua modules: their comments are the documentation that `help` shows. */
#include "state/embedded.h"

#include <string.h>

/* text(path) → the whole text of the module at "lua/lkrun/log.lua", or nil */
static int text(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    for (const struct embedded_lua *module = embedded_lua; module->name; module++)
        if (strcmp(module->path, path) == 0) {
            lua_pushlstring(L, module->text, (size_t)(module->end - module->text));
            return 1;
        }
    return 0;
}

/* modules() → {["lkrun.log"] = "lua/lkrun/log.lua", …} */
static int modules(lua_State *L)
{
    lua_newtable(L);
    for (const struct embedded_lua *module = embedded_lua; module->name; module++) {
        lua_pushstring(L, module->path);
        lua_setfield(L, -2, module->name);
    }
    return 1;
}

int luaopen_lkrun_core_module_text(lua_State *L);
int luaopen_lkrun_core_module_text(lua_State *L)
{
    static const luaL_Reg functions[] = {{"text", text}, {"modules", modules}, {NULL, NULL}};
    luaL_newlib(L, functions);
    return 1;
}
