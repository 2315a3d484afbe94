#include "machine/topology.h"

#include <dlfcn.h>
#include <pthread.h>

#include "base/library.h"

static const struct library_symbol symbols[] = {
    {"hwloc_topology_init", offsetof(struct topology_library, init)},
    {"hwloc_topology_load", offsetof(struct topology_library, load)},
    {"hwloc_topology_destroy", offsetof(struct topology_library, destroy)},
    {"hwloc_topology_is_thissystem", offsetof(struct topology_library, is_thissystem)},
    {"hwloc_topology_restrict", offsetof(struct topology_library, restrict_to)},
    {"hwloc_get_cpubind", offsetof(struct topology_library, get_cpubind)},
    {"hwloc_get_type_depth", offsetof(struct topology_library, get_type_depth)},
    {"hwloc_get_nbobjs_by_depth", offsetof(struct topology_library, get_nbobjs_by_depth)},
    {"hwloc_get_obj_by_depth", offsetof(struct topology_library, get_obj_by_depth)},
    {"hwloc_bitmap_alloc", offsetof(struct topology_library, bitmap_alloc)},
    {"hwloc_bitmap_free", offsetof(struct topology_library, bitmap_free)},
    {"hwloc_bitmap_next", offsetof(struct topology_library, bitmap_next)},
    {"hwloc_bitmap_intersects", offsetof(struct topology_library, bitmap_intersects)},
};

static struct topology_library functions; /* whole unless `library` has a problem */
static struct library library = {
    .file = "libhwloc.so.15",
    .mode = RTLD_NOW | RTLD_LOCAL,
    .subject = "the library",
    .package = "libhwloc15",
    .symbols = symbols,
    .count = sizeof symbols / sizeof *symbols,
};
static pthread_once_t library_once = PTHREAD_ONCE_INIT;

static void load_library(void)
{
    library_load(&library, &functions);
}

const struct topology_library *topology_library(const char **problem)
{
    pthread_once(&library_once, load_library);
    *problem = *library.problem ? library.problem : NULL;
    return *problem ? NULL : &functions;
}

hwloc_topology_t topology_open(const char **problem)
{
    hwloc_topology_t topology;
    if (!topology_library(problem))
        return NULL;
    if (functions.init(&topology) != 0) {
        *problem = "no topology could be made; check the memory left";
        return NULL;
    }
    if (functions.load(topology) == 0)
        return topology;
    functions.destroy(topology);
    *problem = "the topology of this machine could not be read; "
               "check HWLOC_SYNTHETIC, HWLOC_XMLFILE if they are set";
    return NULL;
}

unsigned topology_count(hwloc_topology_t topology, hwloc_obj_type_t type)
{
    int depth = functions.get_type_depth(topology, type);
    return depth == HWLOC_TYPE_DEPTH_UNKNOWN || depth == HWLOC_TYPE_DEPTH_MULTIPLE
               ? 0
               : functions.get_nbobjs_by_depth(topology, depth);
}

hwloc_obj_t topology_object(hwloc_topology_t topology, hwloc_obj_type_t type, unsigned index)
{
    return functions.get_obj_by_depth(topology, functions.get_type_depth(topology, type), index);
}
