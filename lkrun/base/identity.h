/* Which objects were met before, by their addresses, and a number noted for each. */
#ifndef LKRUN_IDENTITY_H
#define LKRUN_IDENTITY_H

#include <stdint.h>
#include <stddef.h>

#define IDENTITY_INLINE 8 /* up to so many objects need no memory from the heap */

struct identity {
    const void *object; /* NULL: an empty slot */
    uint64_t note;
};

struct identity_map {
    struct identity *slots; /* [room]; `first` while that suffices */
    size_t count, room;
    struct identity first[IDENTITY_INLINE];
};

void identity_begin(struct identity_map *map);
void identity_end(struct identity_map *map);
/* The slot of this object; the pointer is valid until another object is looked up. Where the object
 * was not met before, the slot's `object` is NULL, and the caller must fill the slot. NULL: out of
 * memory. */
struct identity *identity_find(struct identity_map *map, const void *object);

#endif
