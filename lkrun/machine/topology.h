/* hwloc, loaded on first use: those of its functions that cpu.c and bind.c call. */
#ifndef LKRUN_TOPOLOGY_H
#define LKRUN_TOPOLOGY_H

#include <hwloc.h>

struct topology_library {
    int (*init)(hwloc_topology_t *);
    int (*load)(hwloc_topology_t);
    void (*destroy)(hwloc_topology_t);
    int (*is_thissystem)(hwloc_topology_t);
    int (*restrict_to)(hwloc_topology_t, hwloc_const_cpuset_t, unsigned long);
    int (*get_cpubind)(hwloc_topology_t, hwloc_cpuset_t, int);
    int (*get_type_depth)(hwloc_topology_t, hwloc_obj_type_t);
    unsigned (*get_nbobjs_by_depth)(hwloc_topology_t, int);
    hwloc_obj_t (*get_obj_by_depth)(hwloc_topology_t, int, unsigned);
    hwloc_bitmap_t (*bitmap_alloc)(void);
    void (*bitmap_free)(hwloc_bitmap_t);
    int (*bitmap_next)(hwloc_const_bitmap_t, int);
    int (*bitmap_intersects)(hwloc_const_bitmap_t, hwloc_const_bitmap_t);
};

/* The library's functions; NULL, with *problem set, when it can't be used. */
const struct topology_library *topology_library(const char **problem);

/* The topology of this machine, or of the one that HWLOC_SYNTHETIC or HWLOC_XMLFILE describes. The
 * caller destroys it. NULL, with *problem set, when there is none. */
hwloc_topology_t topology_open(const char **problem);

/* How many objects of this type the topology has, and the one with this index, from 0. */
unsigned topology_count(hwloc_topology_t topology, hwloc_obj_type_t type);
hwloc_obj_t topology_object(hwloc_topology_t topology, hwloc_obj_type_t type, unsigned index);

#endif
