/* What always holds: `library` is whole, or `library_problem` says why it is not. */
#include "topology.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define HWLOC_LIBRARY "libhwloc.so.15"

static struct topology_library library;
static pthread_once_t library_once = PTHREAD_ONCE_INIT;
static const char *library_problem; /* NULL: none */

static void load_library(void)
{
    static char problem[360];
    const struct {
        const char *symbol;
        void *entry;
    } entries[] = {
        {"hwloc_topology_init", &library.init},
        {"hwloc_topology_load", &library.load},
        {"hwloc_topology_destroy", &library.destroy},
        {"hwloc_topology_is_thissystem", &library.is_thissystem},
        {"hwloc_topology_restrict", &library.restrict_to},
        {"hwloc_get_cpubind", &library.get_cpubind},
        {"hwloc_get_type_depth", &library.get_type_depth},
        {"hwloc_get_nbobjs_by_depth", &library.get_nbobjs_by_depth},
        {"hwloc_get_obj_by_depth", &library.get_obj_by_depth},
        {"hwloc_bitmap_alloc", &library.bitmap_alloc},
        {"hwloc_bitmap_free", &library.bitmap_free},
        {"hwloc_bitmap_next", &library.bitmap_next},
        {"hwloc_bitmap_intersects", &library.bitmap_intersects},
    };
    void *handle = dlopen(HWLOC_LIBRARY, RTLD_NOW | RTLD_LOCAL);
    bool found = handle;
    for (size_t i = 0; found && i < sizeof entries / sizeof *entries; i++) {
        void *symbol = dlsym(handle, entries[i].symbol);
        memcpy(entries[i].entry, &symbol, sizeof symbol);
        found = symbol;
    }
    if (!found) {
        const char *why = dlerror();
        snprintf(problem, sizeof problem,
                 "the library could not be loaded (%.200s); install the Debian package libhwloc15",
                 why ? why : HWLOC_LIBRARY);
        library_problem = problem;
    }
}

const struct topology_library *topology_library(const char **problem)
{
    pthread_once(&library_once, load_library);
    *problem = library_problem;
    return library_problem ? NULL : &library;
}

hwloc_topology_t topology_open(const char **problem)
{
    hwloc_topology_t topology;
    if (!topology_library(problem))
        return NULL;
    if (library.init(&topology) != 0) {
        *problem = "no topology could be made; check the memory left";
        return NULL;
    }
    if (library.load(topology) == 0)
        return topology;
    library.destroy(topology);
    *problem = "the topology of this machine could not be read; "
               "check HWLOC_SYNTHETIC, HWLOC_XMLFILE if they are set";
    return NULL;
}

unsigned topology_count(hwloc_topology_t topology, hwloc_obj_type_t type)
{
    int depth = library.get_type_depth(topology, type);
    return depth == HWLOC_TYPE_DEPTH_UNKNOWN || depth == HWLOC_TYPE_DEPTH_MULTIPLE
               ? 0
               : library.get_nbobjs_by_depth(topology, depth);
}

hwloc_obj_t topology_object(hwloc_topology_t topology, hwloc_obj_type_t type, unsigned index)
{
    return library.get_obj_by_depth(topology, library.get_type_depth(topology, type), index);
}
