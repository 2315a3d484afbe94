/* What always holds: a plan is a function of the topology, the mode and the numbers asked for, and
 * of nothing else. A group is a set of CPUs of one NUMA node that this process may use, and no two
 * groups share a CPU. Workers take the groups in their order: first one of each node, then a second
 * of each, so that a few workers have the memory of all nodes to themselves. Where there are more
 * workers than groups, they begin again with the first group. The plan is made in the host, and its
 * workers inherit it: a worker only binds itself. */
#include "machine/bind.h"

#include <errno.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <lauxlib.h>
#include <linux/mempolicy.h>

#include "screen/log.h"
#include "memory/region.h"
#include "machine/topology.h"
#include "base/util.h"

enum mode { MODE_NONE, MODE_CORE, MODE_NUMA };

struct cpu_group {
    int *cpus; /* [count], the system's numbers of the CPUs; owned */
    int count;
    int node;  /* the system's number of its NUMA node; -1: the machine has none */
    int order; /* its place among the groups of its node, from 0 */
};

struct plan {
    struct cpu_group *groups;
    int count;
};

static struct plan current; /* empty: workers are not bound */

static void plan_free(struct plan *plan)
{
    for (int i = 0; i < plan->count; i++)
        free(plan->groups[i].cpus);
    free(plan->groups);
    *plan = (struct plan){0};
}

/* Adds an empty group; NULL: out of memory. */
static struct cpu_group *add_group(struct plan *plan, int node, int order)
{
    struct cpu_group *more = realloc(plan->groups, sizeof *more * (size_t)(plan->count + 1));
    if (!more)
        return NULL;
    plan->groups = more;
    more[plan->count] = (struct cpu_group){.node = node, .order = order};
    return &more[plan->count++];
}

static bool add_cpus(const struct topology_library *hwloc, struct cpu_group *group,
                     hwloc_const_cpuset_t set)
{
    for (int cpu = hwloc->bitmap_next(set, -1); cpu >= 0; cpu = hwloc->bitmap_next(set, cpu)) {
        int *more = realloc(group->cpus, sizeof *more * (size_t)(group->count + 1));
        if (!more)
            return false;
        group->cpus = more;
        more[group->count++] = cpu;
    }
    return true;
}

static bool is_taken(const struct plan *plan, int cpu)
{
    for (int i = 0; i < plan->count; i++)
        for (int k = 0; k < plan->groups[i].count; k++)
            if (plan->groups[i].cpus[k] == cpu)
                return true;
    return false;
}

/* Adds groups of `width` cores of this node (NULL: of the whole machine). Cores that are left over,
 * fewer than `width`, make a group only where the node has no other. False: out of memory. */
static bool add_cores(const struct topology_library *hwloc, hwloc_topology_t topology,
                      struct plan *plan, hwloc_obj_t node, int width)
{
    hwloc_obj_type_t kind =
        topology_count(topology, HWLOC_OBJ_CORE) ? HWLOC_OBJ_CORE : HWLOC_OBJ_PU;
    int first = plan->count, in_group = width;
    struct cpu_group *group = NULL;
    for (unsigned i = 0; i < topology_count(topology, kind); i++) {
        hwloc_obj_t core = topology_object(topology, kind, i);
        if ((node && !hwloc->bitmap_intersects(core->cpuset, node->cpuset)) ||
            is_taken(plan, hwloc->bitmap_next(core->cpuset, -1)))
            continue;
        if (in_group == width) {
            group = add_group(plan, node ? (int)node->os_index : -1, plan->count - first);
            in_group = 0;
        }
        if (!group || !add_cpus(hwloc, group, core->cpuset))
            return false;
        in_group++;
    }
    if (plan->count > first + 1 && in_group < width)
        free(plan->groups[--plan->count].cpus);
    return true;
}

/* Adds a group of all CPUs of this node, unless it has none, or an earlier node has the same ones.
 * False: out of memory. */
static bool add_node(const struct topology_library *hwloc, struct plan *plan, hwloc_obj_t node)
{
    int cpu = hwloc->bitmap_next(node->cpuset, -1);
    if (cpu < 0 || is_taken(plan, cpu))
        return true;
    struct cpu_group *group = add_group(plan, (int)node->os_index, 0);
    return group && add_cpus(hwloc, group, node->cpuset);
}

static int compare_groups(const void *a, const void *b)
{
    const struct cpu_group *one = a, *other = b;
    return one->order != other->order ? one->order - other->order : one->node - other->node;
}

/* Fills an empty plan. False: out of memory. */
static bool plan_make(struct plan *plan, hwloc_topology_t topology, enum mode mode, int width)
{
    const char *problem;
    const struct topology_library *hwloc = topology_library(&problem);
    unsigned nodes = topology_count(topology, HWLOC_OBJ_NUMANODE);
    bool made = true;
    for (unsigned i = 0; made && i < nodes; i++) {
        hwloc_obj_t node = topology_object(topology, HWLOC_OBJ_NUMANODE, i);
        made = mode == MODE_NUMA ? add_node(hwloc, plan, node)
                                 : add_cores(hwloc, topology, plan, node, width);
    }
    if (made && !plan->count)
        made = add_cores(hwloc, topology, plan, NULL, width);
    qsort(plan->groups, (size_t)plan->count, sizeof *plan->groups, compare_groups);
    return made;
}

/* Opens the topology; that of this system is restricted to the CPUs that this process may use. */
static hwloc_topology_t open_allowed(const char **problem)
{
    hwloc_topology_t topology = topology_open(problem);
    if (!topology)
        return NULL;
    const struct topology_library *hwloc = topology_library(problem);
    hwloc_bitmap_t allowed = hwloc->bitmap_alloc();
    if (allowed && hwloc->is_thissystem(topology) &&
        hwloc->get_cpubind(topology, allowed, HWLOC_CPUBIND_PROCESS) == 0)
        hwloc->restrict_to(topology, allowed, 0);
    hwloc->bitmap_free(allowed);
    return topology;
}

/* Spreads the region's pages over the nodes that workers are bound to, and moves those that are in
 * memory already. Otherwise a page lies on the node of the thread that touched it first. For a
 * model that is the thread that built it, and the workers of all nodes would wait for that node's
 * memory. */
static void spread_region(const struct plan *plan, int jobs)
{
    enum { BITS = 8 * sizeof(unsigned long), WORDS = 16 };
    unsigned long nodes[WORDS] = {0};
    int count = 0;
    for (int i = 0; i < plan->count && i < jobs; i++) {
        int node = plan->groups[i].node;
        if (node < 0 || node >= WORDS * (int)BITS || nodes[node / BITS] >> (node % BITS) & 1)
            continue;
        nodes[node / BITS] |= 1ul << (node % BITS);
        count++;
    }
    void *base = region_resolve_own(0, 0);
    if (count > 1 && base &&
        syscall(SYS_mbind, base, region_use().size, MPOL_INTERLEAVE, nodes,
                (unsigned long)WORDS * BITS, (unsigned)MPOL_MF_MOVE) != 0)
        log_message(LOG_LEVEL_WARN, "LK_BIND: the model's pages stay where they are: %s",
                    strerror(errno));
}

/* Puts the group's CPUs into the text: "0-3,8". */
static void describe(struct buffer *text, const struct cpu_group *group)
{
    text->length = 0;
    for (int i = 0; i < group->count; i++) {
        int last = i;
        while (last + 1 < group->count && group->cpus[last + 1] == group->cpus[last] + 1)
            last++;
        const char *comma = i ? "," : "";
        if (last > i)
            buffer_printf(text, "%s%d-%d", comma, group->cpus[i], group->cpus[last]);
        else
            buffer_printf(text, "%s%d", comma, group->cpus[i]);
        i = last;
    }
}

static void log_plan(const struct plan *plan, int jobs)
{
    struct buffer text = {0};
    for (int i = 0; log_enabled(LOG_LEVEL_DEBUG) && i < jobs; i++) {
        const struct cpu_group *group = &plan->groups[i % plan->count];
        describe(&text, group);
        log_message(LOG_LEVEL_DEBUG, "worker %d is bound to CPU %s of NUMA node %d%s", i + 1,
                    text.data ? text.data : "", group->node,
                    i >= plan->count ? ", with others" : "");
    }
    buffer_free(&text);
}

static bool parse_mode(const char *text, enum mode *mode)
{
    *mode = !text || !*text || strcmp(text, "none") == 0 ? MODE_NONE
            : strcmp(text, "core") == 0                  ? MODE_CORE
                                                         : MODE_NUMA;
    return *mode != MODE_NUMA || strcmp(text, "numa") == 0;
}

void bind_check_environment(lua_State *L)
{
    enum mode mode;
    const char *text = getenv("LK_BIND");
    if (!parse_mode(text, &mode))
        raise_error(L, "LK_BIND", "the value is '%s'; expected none, core or numa", text);
}

bool bind_prepare(int jobs, int threads, char *reason, size_t size)
{
    enum mode mode;
    const char *problem = NULL;
    bind_forget();
    if (!parse_mode(getenv("LK_BIND"), &mode) || mode == MODE_NONE)
        return true;
    hwloc_topology_t topology = open_allowed(&problem);
    bool is_ours = false;
    if (topology) {
        const struct topology_library *hwloc = topology_library(&problem);
        is_ours = hwloc->is_thissystem(topology);
        if (!plan_make(&current, topology, mode, threads > 0 ? threads : 1) || !current.count)
            problem = "no CPU was found";
        hwloc->destroy(topology);
    }
    if (problem) {
        bind_forget();
        snprintf(reason, size, "LK_BIND=%s: %s", getenv("LK_BIND"), problem);
        return false;
    }
    log_plan(&current, jobs);
    if (is_ours)
        spread_region(&current, jobs);
    else
        bind_forget(); /* HWLOC_SYNTHETIC describes another machine: there is nothing to bind to */
    return true;
}

void bind_enter_worker(int place)
{
    if (!current.count)
        return;
    const struct cpu_group *group = &current.groups[place % current.count];
    int most = 0;
    for (int i = 0; i < group->count; i++)
        most = group->cpus[i] > most ? group->cpus[i] : most;
    cpu_set_t *set = CPU_ALLOC(most + 1);
    size_t size = CPU_ALLOC_SIZE(most + 1);
    if (set) {
        CPU_ZERO_S(size, set);
        for (int i = 0; i < group->count; i++)
            CPU_SET_S(group->cpus[i], size, set);
        if (sched_setaffinity(0, size, set) != 0)
            log_message(LOG_LEVEL_WARN, "LK_BIND: this worker could not be bound: %s",
                        strerror(errno));
        CPU_FREE(set);
    }
    plan_free(&current);
}

void bind_forget(void)
{
    plan_free(&current);
}

/* --- lkrun.core.bind --- */

/* plan(mode, jobs, threads) → sequence of {node =, cpus = {…}}, one for each worker */
static int l_plan(lua_State *L)
{
    enum mode mode;
    if (!parse_mode(luaL_checkstring(L, 1), &mode) || mode == MODE_NONE)
        return luaL_argerror(L, 1, "expected core or numa");
    int jobs = (int)luaL_checkinteger(L, 2), threads = (int)luaL_optinteger(L, 3, 1);
    const char *problem = NULL;
    hwloc_topology_t topology = open_allowed(&problem);
    if (!topology)
        return raise_error(L, "hwloc", "%s", problem);
    bool made = plan_make(&current, topology, mode, threads);
    topology_library(&problem)->destroy(topology);
    if (!made || !current.count)
        return raise_error(L, "LK_BIND", "no CPU was found");
    lua_createtable(L, jobs, 0);
    for (int i = 0; i < jobs; i++) {
        const struct cpu_group *group = &current.groups[i % current.count];
        lua_createtable(L, 0, 2);
        lua_pushinteger(L, group->node);
        lua_setfield(L, -2, "node");
        lua_createtable(L, group->count, 0);
        for (int k = 0; k < group->count; k++) {
            lua_pushinteger(L, group->cpus[k]);
            lua_rawseti(L, -2, k + 1);
        }
        lua_setfield(L, -2, "cpus");
        lua_rawseti(L, -2, i + 1);
    }
    bind_forget();
    return 1;
}

static const luaL_Reg functions[] = {{"plan", l_plan}, {NULL, NULL}};

int luaopen_lkrun_core_bind(lua_State *L);
int luaopen_lkrun_core_bind(lua_State *L)
{
    luaL_newlib(L, functions);
    return 1;
}
