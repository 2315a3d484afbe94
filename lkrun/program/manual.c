/* Where the manual is, relative to the executable: `make install`, the source tree and luarocks put
 * it in different places. */
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lua.h>
#include <lauxlib.h>

/* path() → the path of the manual's first page; nil where there is none */
static int path(lua_State *L)
{
    static const char *const places[] = {"../share/doc/lkrun/docs/README.md", "../docs/README.md",
                                         "../../docs/README.md"};
    static const char title[] = "# The manual\n";
    char executable[PATH_MAX], place[PATH_MAX + 64], page[PATH_MAX];
    if (!realpath("/proc/self/exe", executable))
        return 0;
    *strrchr(executable, '/') = 0;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        snprintf(place, sizeof place, "%s/%s", executable, places[i]);
        FILE *file = realpath(place, page) ? fopen(page, "re") : NULL;
        char line[sizeof title] = "";
        bool is_ours = file && fgets(line, sizeof line, file) && strcmp(line, title) == 0;
        if (file)
            fclose(file);
        if (is_ours) {
            lua_pushstring(L, page);
            return 1;
        }
    }
    return 0;
}

int luaopen_lkrun_core_manual(lua_State *L);
int luaopen_lkrun_core_manual(lua_State *L)
{
    static const luaL_Reg functions[] = {{"path", path}, {NULL, NULL}};
    luaL_newlib(L, functions);
    return 1;
}
