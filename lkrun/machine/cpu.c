/* A process may use the CPUs of its affinity mask, of its cgroup's cpuset, and no more CPU time
 * than the quota of its cgroup *and of every cgroup above it*. The count is the least of the three,
 * and at least 1; a file that is missing or says nothing we know is no limit.
 *
 * Where a cgroup's files are is found from two files: /proc/self/cgroup names the cgroup within
 * each hierarchy, /proc/self/mountinfo names which part of the hierarchy is mounted where. Both are
 * relative to the process's cgroup namespace. The part above the mounted one cannot be seen. */
#include "machine/cpu.h"

#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine/topology.h"
#include "base/util.h"

/* ---- The affinity mask ---- */

static int affinity_count(void)
{
    for (int cpus = 1024; cpus <= 1 << 24; cpus *= 2) {
        cpu_set_t *set = CPU_ALLOC(cpus);
        if (!set)
            return 0;
        size_t size = CPU_ALLOC_SIZE(cpus);
        CPU_ZERO_S(size, set);
        bool fits = sched_getaffinity(0, size, set) == 0;
        int count = fits ? CPU_COUNT_S(size, set) : 0;
        CPU_FREE(set);
        if (fits)
            return count;
    }
    return 0;
}

/* ---- Where the cgroup is ---- */

/* A hierarchy of cgroups: the unified one of v2, or the one of a v1 controller. */
struct hierarchy {
    const char *controller; /* NULL: the unified one */
    /* The cgroup that this process is in, as /proc/self/cgroup names it; owned. */
    char *cgroup;
    char *part;  /* which part of the hierarchy is mounted, "/": all of it; owned */
    char *mount; /* where that part is mounted; owned */
};

static void hierarchy_free(struct hierarchy *hierarchy)
{
    free(hierarchy->cgroup);
    free(hierarchy->mount);
    free(hierarchy->part);
}

/* Whether `word` is one of the comma-separated words of `list`. */
static bool list_has(const char *list, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = list; at; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, word, length) == 0 && strchr(",\n", at[length]))
            return true;
    }
    return false;
}

static FILE *open_under(const char *root, const char *path)
{
    struct buffer name = {0};
    FILE *file = buffer_printf(&name, "%s%s", root, path) ? fopen(name.data, "re") : NULL;
    buffer_free(&name);
    return file;
}

/* Finds the cgroup. Lines are "number:controllers:path"; v2's has the number 0 and no
 * controllers. */
static void find_cgroup(const char *root, struct hierarchy *hierarchy)
{
    FILE *file = open_under(root, "/proc/self/cgroup");
    char *line = NULL;
    size_t size = 0;
    while (file && getline(&line, &size, file) >= 0) {
        char *controllers = strchr(line, ':');
        char *path = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!path)
            continue;
        *controllers++ = 0;
        *path++ = 0;
        if (hierarchy->controller ? !list_has(controllers, hierarchy->controller)
                                  : *controllers || strcmp(line, "0") != 0)
            continue;
        path[strcspn(path, "\n")] = 0;
        free(hierarchy->cgroup);
        hierarchy->cgroup = strdup(path);
    }
    free(line);
    if (file)
        fclose(file);
}

/* mountinfo writes space, tab, newline and backslash as \ooo. */
static void unescape(char *text)
{
    char *out = text;
    for (const char *in = text; *in; in++) {
        unsigned code;
        if (*in == '\\' && sscanf(in + 1, "%3o", &code) == 1) {
            *out++ = (char)code;
            in += 3;
        } else {
            *out++ = *in;
        }
    }
    *out = 0;
}

/* What follows `part` in `cgroup` ("" or "/…"), or NULL where the cgroup is not inside it. */
static const char *below(const char *part, const char *cgroup)
{
    size_t length = strcmp(part, "/") == 0 ? 0 : strlen(part);
    if (strncmp(cgroup, part, length) != 0 || (cgroup[length] && cgroup[length] != '/'))
        return NULL;
    const char *rest = strcmp(cgroup + length, "/") == 0 ? "" : cgroup + length;
    /* A cgroup outside the namespace is named by "/..": the names on the way to it are not
     * known. */
    bool leaves = strncmp(rest, "/..", 3) == 0 && (!rest[3] || rest[3] == '/');
    return leaves ? NULL : rest;
}

/* Whether a mount of `part` shows more of the way to the cgroup than the mount found before. */
static bool is_better(const struct hierarchy *hierarchy, const char *part)
{
    bool inside = below(part, hierarchy->cgroup);
    if (!hierarchy->part)
        return true;
    if (inside != (below(hierarchy->part, hierarchy->cgroup) != NULL))
        return inside;
    return strlen(part) <= strlen(hierarchy->part);
}

/* Finds the mount and its part. Lines are "id parent device part mount options tags… - type source
 * options". */
static void find_mount(const char *root, struct hierarchy *hierarchy)
{
    FILE *file = open_under(root, "/proc/self/mountinfo");
    char *line = NULL;
    size_t size = 0;
    while (file && getline(&line, &size, file) >= 0) {
        char *separator = strstr(line, " - ");
        char *save;
        char *part = NULL, *mount = NULL;
        if (!separator)
            continue;
        *separator = 0;
        char *type = strtok_r(separator + 3, " \n", &save);
        char *source = strtok_r(NULL, " \n", &save);
        char *options = source ? strtok_r(NULL, " \n", &save) : NULL;
        if (!type || strcmp(type, hierarchy->controller ? "cgroup" : "cgroup2") != 0)
            continue;
        if (hierarchy->controller && (!options || !list_has(options, hierarchy->controller)))
            continue;
        char *field = strtok_r(line, " ", &save);
        for (int i = 0; field && i < 4; i++) {
            field = strtok_r(NULL, " ", &save);
            part = i == 2 ? field : part;
            mount = i == 3 ? field : mount;
        }
        if (!mount)
            continue;
        unescape(part);
        unescape(mount);
        if (is_better(hierarchy, part)) {
            free(hierarchy->part);
            free(hierarchy->mount);
            hierarchy->part = strdup(part);
            hierarchy->mount = strdup(mount);
        }
    }
    free(line);
    if (file)
        fclose(file);
}

/* ---- What its files say ---- */

static char *read_line(const char *root, const char *folder, const char *name)
{
    struct buffer path = {0};
    FILE *file = buffer_printf(&path, "%s/%s", folder, name) ? open_under(root, path.data) : NULL;
    char *line = NULL;
    size_t size = 0;
    if (file && getline(&line, &size, file) < 0) {
        free(line);
        line = NULL;
    }
    if (file)
        fclose(file);
    buffer_free(&path);
    return line;
}

/* The quota over its period, in CPUs and rounded up; 0: no limit. */
static int quota_of(const char *root, const char *folder, const struct hierarchy *hierarchy)
{
    bool v1 = hierarchy->controller;
    char *first = read_line(root, folder, v1 ? "cpu.cfs_quota_us" : "cpu.max");
    char *second = v1 ? read_line(root, folder, "cpu.cfs_period_us") : NULL;
    long long quota = 0, period = 0;
    if (v1 && first && second) {
        quota = atoll(first);
        period = atoll(second);
    } else if (!v1 && first && sscanf(first, "%lld %lld", &quota, &period) != 2) {
        quota = 0; /* "max 100000" */
    }
    free(first);
    free(second);
    if (quota <= 0 || period <= 0)
        return 0;
    long long cpus = (quota - 1) / period + 1;
    return cpus < INT_MAX ? (int)cpus : INT_MAX;
}

/* CPUs in a list such as "0-3,8,10-11"; 0 for an empty or strange one. */
static int cpuset_of(const char *root, const char *folder, const struct hierarchy *hierarchy)
{
    static const char *const v2[] = {"cpuset.cpus.effective"};
    static const char *const v1[] = {"cpuset.effective_cpus", "cpuset.cpus"};
    char *line = read_line(root, folder, hierarchy->controller ? v1[0] : v2[0]);
    if (!line && hierarchy->controller)
        line = read_line(root, folder, v1[1]);
    long count = 0;
    for (char *at = line; at && *at >= '0' && *at <= '9';) {
        long first = strtol(at, &at, 10);
        long last = *at == '-' ? strtol(at + 1, &at, 10) : first;
        if (last < first || last > 1 << 24)
            break;
        count += last - first + 1;
        at += *at == ',';
    }
    free(line);
    return (int)count;
}

/* The lower of two limits; 0 means no limit. */
static int least(int limit, int other)
{
    return !other || (limit && limit < other) ? limit : other;
}

/* The least limit from the cgroup up to the top of what is mounted; 0: none. */
static int least_on_the_way(const char *root, const char *controller,
                            int (*limit_of)(const char *, const char *, const struct hierarchy *))
{
    struct hierarchy hierarchy = {.controller = controller};
    int limit = 0;
    find_cgroup(root, &hierarchy);
    if (hierarchy.cgroup)
        find_mount(root, &hierarchy);
    if (hierarchy.mount && hierarchy.part) {
        struct buffer folder = {0};
        const char *rest = below(hierarchy.part, hierarchy.cgroup);
        size_t top = strlen(hierarchy.mount);
        if (buffer_printf(&folder, "%s%s", hierarchy.mount, rest ? rest : "")) {
            for (;;) {
                limit = least(limit, limit_of(root, folder.data, &hierarchy));
                char *slash = strrchr(folder.data, '/');
                if (strlen(folder.data) <= top || !slash)
                    break;
                *slash = 0;
            }
        }
        buffer_free(&folder);
    }
    hierarchy_free(&hierarchy);
    return limit;
}

/* Each in whole CPUs; 0: no such limit was found. */
struct cpu_limits {
    int affinity; /* CPUs in the affinity mask */
    int cpuset;   /* CPUs in the cgroup's cpuset, v1 and v2 */
    int quota;    /* the least quota of the cgroup and those above it, v1 and v2, rounded up */
};

/* What holds for this process. The files of /proc and of the cgroups are looked up under `root`,
 * "" for the running system's own. */
static void read_limits(const char *root, struct cpu_limits *limits)
{
    limits->affinity = affinity_count();
    limits->cpuset =
        least(least_on_the_way(root, NULL, cpuset_of), least_on_the_way(root, "cpuset", cpuset_of));
    limits->quota =
        least(least_on_the_way(root, NULL, quota_of), least_on_the_way(root, "cpu", quota_of));
}

/* The least of the limits, at least 1. */
static int count_of(const struct cpu_limits *limits)
{
    int count = least(least(limits->affinity, limits->cpuset), limits->quota);
    return count > 0 ? count : 1;
}

int cpu_count(void)
{
    struct cpu_limits limits;
    read_limits("", &limits);
    return count_of(&limits);
}

/* ---- lkrun.core.cpu ---- */

static void set_count(lua_State *L, const char *name, hwloc_topology_t topology,
                      hwloc_obj_type_t type)
{
    lua_pushinteger(L, topology_count(topology, type));
    lua_setfield(L, -2, name);
}

/* topology() → {packages, cores, cpus, numa_nodes} of this machine, or of the one that
 * HWLOC_SYNTHETIC describes; raises when hwloc is not found or finds nothing. */
static int l_topology(lua_State *L)
{
    const char *problem;
    if (!topology_library(&problem))
        return raise_error(L, "hwloc", "%s", problem);
    lua_createtable(L, 0, 4);
    /* Makes the fields now, so that nothing below raises while hwloc holds memory. */
    for (int i = 0; i < 4; i++) {
        static const char *const names[] = {"packages", "cores", "cpus", "numa_nodes"};
        lua_pushinteger(L, 0);
        lua_setfield(L, -2, names[i]);
    }
    hwloc_topology_t topology = topology_open(&problem);
    if (!topology)
        return raise_error(L, "hwloc", "%s", problem);
    set_count(L, "packages", topology, HWLOC_OBJ_PACKAGE);
    set_count(L, "cores", topology, HWLOC_OBJ_CORE);
    set_count(L, "cpus", topology, HWLOC_OBJ_PU);
    set_count(L, "numa_nodes", topology, HWLOC_OBJ_NUMANODE);
    topology_library(&problem)->destroy(topology);
    return 1;
}

/* limits(root) → {affinity, cpuset, quota, count} */
static int l_limits(lua_State *L)
{
    struct cpu_limits limits;
    read_limits(luaL_optstring(L, 1, ""), &limits);
    lua_createtable(L, 0, 4);
    lua_pushinteger(L, limits.affinity);
    lua_setfield(L, -2, "affinity");
    lua_pushinteger(L, limits.cpuset);
    lua_setfield(L, -2, "cpuset");
    lua_pushinteger(L, limits.quota);
    lua_setfield(L, -2, "quota");
    lua_pushinteger(L, count_of(&limits));
    lua_setfield(L, -2, "count");
    return 1;
}

static const luaL_Reg functions[] = {
    {"limits", l_limits},
    {"topology", l_topology},
    {NULL, NULL},
};

int luaopen_lkrun_core_cpu(lua_State *L);
int luaopen_lkrun_core_cpu(lua_State *L)
{
    luaL_newlib(L, functions);
    return 1;
}
