/* The names in a folder, for completing file names. */
#include <dirent.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <lua.h>
#include <lauxlib.h>

static bool is_directory(const char *folder, const struct dirent *entry)
{
    char path[PATH_MAX];
    struct stat status;
    if (entry->d_type != DT_LNK && entry->d_type != DT_UNKNOWN)
        return entry->d_type == DT_DIR;
    return snprintf(path, sizeof path, "%s/%s", folder, entry->d_name) < (int)sizeof path &&
           stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

/* list(folder) → the names there, those of folders with "/" at their end; none where the folder
 * can't be read */
static int list(lua_State *L)
{
    const char *folder = luaL_checkstring(L, 1);
    lua_newtable(L);
    DIR *directory = opendir(folder);
    if (!directory)
        return 1;
    for (struct dirent *entry; (entry = readdir(directory));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        lua_pushfstring(L, is_directory(folder, entry) ? "%s/" : "%s", entry->d_name);
        lua_rawseti(L, 2, (lua_Integer)lua_rawlen(L, 2) + 1);
    }
    closedir(directory);
    return 1;
}

int luaopen_lkrun_core_directory(lua_State *L);
int luaopen_lkrun_core_directory(lua_State *L)
{
    static const luaL_Reg functions[] = {{"list", list}, {NULL, NULL}};
    luaL_newlib(L, functions);
    return 1;
}
