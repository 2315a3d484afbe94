/* Up to IDENTITY_INLINE objects stand in `first`, in the order of their arrival. More of them are
 * in an open-addressed hash table, whose number of slots is a power of two and which is at most
 * half full. */
#include "base/identity.h"

#include <stdbool.h>
#include <stdlib.h>

void identity_begin(struct identity_map *map)
{
    map->slots = map->first;
    map->room = IDENTITY_INLINE;
    map->count = 0;
}

void identity_end(struct identity_map *map)
{
    if (map->slots != map->first)
        free(map->slots);
}

static struct identity *probe(struct identity *slots, size_t room, const void *object)
{
    /* The addresses are multiples of 16, so their lowest 4 bits say nothing. The multiplication
     * spreads the other bits over the product's upper half. */
    size_t slot = (((uintptr_t)object >> 4) * 0x9E3779B97F4A7C15u >> 32) & (room - 1);
    while (slots[slot].object && slots[slot].object != object)
        slot = (slot + 1) & (room - 1);
    return &slots[slot];
}

static bool grow(struct identity_map *map)
{
    size_t room = map->slots == map->first ? 8 * IDENTITY_INLINE : 2 * map->room;
    struct identity *slots = calloc(room, sizeof *slots);
    if (!slots)
        return false;
    for (size_t i = 0; i < map->room; i++)
        if (map->slots[i].object)
            *probe(slots, room, map->slots[i].object) = map->slots[i];
    identity_end(map);
    map->slots = slots;
    map->room = room;
    return true;
}

struct identity *identity_find(struct identity_map *map, const void *object)
{
    struct identity *slot;
    if (map->slots == map->first) {
        for (size_t i = 0; i < map->count; i++)
            if (map->first[i].object == object)
                return &map->first[i];
        if (map->count < IDENTITY_INLINE) {
            slot = &map->first[map->count++];
            slot->object = NULL;
            return slot;
        }
    }
    if ((map->slots == map->first || 2 * map->count >= map->room) && !grow(map))
        return NULL;
    slot = probe(map->slots, map->room, object);
    if (!slot->object)
        map->count++;
    return slot;
}
