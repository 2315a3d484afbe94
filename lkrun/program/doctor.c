/* What `lkrun doctor` asks the system: the limits of this process, the machine, the libraries. */
#include <dlfcn.h>
#include <link.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <lua.h>
#include <lauxlib.h>

#include "base/util.h"

static void set_limit(lua_State *L, const char *name, rlim_t value)
{
    if (value == RLIM_INFINITY)
        return;
    lua_pushinteger(L, (lua_Integer)value);
    lua_setfield(L, -2, name);
}

/* limits() → {processes = {soft =, hard =}, …}; a limit that is unlimited has no field */
static int limits(lua_State *L)
{
    static const struct {
        const char *name;
        int resource;
    } known[] = {{"processes", RLIMIT_NPROC},
                 {"open_files", RLIMIT_NOFILE},
                 {"file_size", RLIMIT_FSIZE},
                 {"address_space", RLIMIT_AS},
                 {"data", RLIMIT_DATA}};
    lua_newtable(L);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        struct rlimit limit;
        lua_newtable(L);
        if (getrlimit((__rlimit_resource_t)known[i].resource, &limit) == 0) {
            set_limit(L, "soft", limit.rlim_cur);
            set_limit(L, "hard", limit.rlim_max);
        }
        lua_setfield(L, -2, known[i].name);
    }
    return 1;
}

/* system() → {lua =, kernel =, machine =, cpus =, memory =, pidfd =, memfd =}: memory is in bytes,
 * pidfd and memfd are whether the kernel has them */
static int system_facts(lua_State *L)
{
    struct utsname name;
    uname(&name);
    lua_newtable(L);
    lua_pushliteral(L, LUA_VERSION_MAJOR "." LUA_VERSION_MINOR "." LUA_VERSION_RELEASE);
    lua_setfield(L, -2, "lua");
    lua_pushstring(L, name.release);
    lua_setfield(L, -2, "kernel");
    lua_pushstring(L, name.machine);
    lua_setfield(L, -2, "machine");
    lua_pushinteger(L, sysconf(_SC_NPROCESSORS_ONLN));
    lua_setfield(L, -2, "cpus");
    lua_pushinteger(L, (lua_Integer)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE));
    lua_setfield(L, -2, "memory");
    int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
    lua_pushboolean(L, pidfd >= 0);
    lua_setfield(L, -2, "pidfd");
    if (pidfd >= 0)
        close(pidfd);
    int memfd = memfd_create("lkrun-doctor", MFD_CLOEXEC);
    lua_pushboolean(L, memfd >= 0);
    lua_setfield(L, -2, "memfd");
    if (memfd >= 0)
        close(memfd);
    return 1;
}

/* Pushes the version that this function of the library gives: hwloc's gives a number, those of
 * others give text. nil: there is no such function. */
static void push_version(lua_State *L, void *handle, const char *symbol)
{
    void *found = dlsym(handle, symbol);
    const char *(*text)(void);
    unsigned (*number)(void);
    if (!found) {
        lua_pushnil(L);
    } else if (strcmp(symbol, "hwloc_get_api_version") == 0) {
        memcpy(&number, &found, sizeof found);
        unsigned version = number();
        lua_pushfstring(L, "%d.%d.%d", (int)(version >> 16), (int)(version >> 8 & 255),
                        (int)(version & 255));
    } else {
        memcpy(&text, &found, sizeof found);
        lua_pushstring(L, text());
    }
}

/* library(file, symbol) → the library's path, and the version that its function `symbol` gives; or
 * nil, and why the library can't be loaded */
static int library(lua_State *L)
{
    const char *file = luaL_checkstring(L, 1), *symbol = luaL_optstring(L, 2, "");
    void *handle = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    struct link_map *map = NULL;
    if (!handle) {
        const char *problem = dlerror();
        lua_pushnil(L);
        lua_pushstring(L, problem ? problem : "it cannot be loaded");
        return 2;
    }
    char *path = dlinfo(handle, RTLD_DI_LINKMAP, &map) == 0 ? realpath(map->l_name, NULL) : NULL;
    lua_pushstring(L, path ? path : file);
    free(path);
    push_version(L, handle, symbol);
    dlclose(handle);
    return 2;
}

int luaopen_lkrun_core_doctor(lua_State *L);
int luaopen_lkrun_core_doctor(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"limits", limits}, {"system", system_facts}, {"library", library}, {NULL, NULL}};
    luaL_newlib(L, functions);
    return 1;
}
