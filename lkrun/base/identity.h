/* Which objects were met before, by address, and a number noted for each. */
#ifndef LKRUN_IDENTITY_H
#define LKRUN_IDENTITY_H

#include <stdint.h>
#include <stddef.h>

#define IDENTITY_INLINE 8 /* objects that need no memory from the heap */

struct identity {
    const void *object; /* NULL: an empty slot */
    uint64_t note;
};

struct identity_map {
    struct identity *slots; /* `first` while it suffices */
    size_t count, room;
    struct identity first[IDENTITY_INLINE];
};

void identity_begin(struct identity_map *map);
void identity_end(struct identity_map *map);
/* The slot of this object; `object` is NULL in it where it was not met before, and the caller then
 * fills it, as it must. NULL: out of memory. The slot moves when another object is looked up. */
struct identity *identity_find(struct identity_map *map, const void *object);

#endif
