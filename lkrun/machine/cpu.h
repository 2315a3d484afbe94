/* How many CPUs this process may really use, and what they look like. */
#ifndef LKRUN_CPU_H
#define LKRUN_CPU_H

#include <lua.h>

/* Each in whole CPUs; 0: no such limit was found. */
struct cpu_limits {
    int affinity; /* CPUs in the affinity mask */
    int cpuset;   /* CPUs in the cgroup's cpuset, v1 and v2 */
    int quota;    /* the least CPU quota of the cgroup and those above it, v1 and v2, rounded up */
};

/* What holds for this process. The files of /proc and of the cgroups are looked up under `root`,
 * "" for the running system's own. */
void cpu_limits_read(const char *root, struct cpu_limits *limits);

/* The least of them, at least 1. */
int cpu_limits_count(const struct cpu_limits *limits);

/* The same for the running system: CPUs this process may use. */
int cpu_count(void);

/* Pushes {packages, cores, cpus, numa_nodes} of this machine, or of the one that HWLOC_SYNTHETIC
 * describes; raises when hwloc is not found or finds nothing. */
int cpu_topology(lua_State *L);

#endif
