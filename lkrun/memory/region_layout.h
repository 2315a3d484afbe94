/* What a region is made of: region_make.c makes it, region.c keeps it. */
#ifndef LKRUN_REGION_LAYOUT_H
#define LKRUN_REGION_LAYOUT_H

#include "memory/region.h"

#define PAGE 4096u
#define NONE UINT32_MAX
#define BINS 32

enum span_state { SPAN_FREE = 1, SPAN_USED, SPAN_WAITING };

struct span {
    uint32_t pages;      /* length; on the last page of a span too */
    uint32_t next, prev; /* in its bin, or in the list of waiting spans */
    uint32_t born;       /* generations begun before it was allocated */
    uint32_t freed;      /* the same when it was freed, while waiting */
    uint8_t state;       /* on the last page too */
    bool dirty;          /* free: may hold other bytes than 0 */
    bool writable;       /* used: workers may write it */
};

struct region {
    char *base;
    size_t size;
    int fd;
    uint32_t pages, top;
    struct span *spans; /* [pages], of address space; touched where used */
    uint32_t bin[BINS];
    uint32_t waiting;
    size_t used_pages, idle_pages, kept_pages;
};

/* A region without spans, of the size that LK_REGION_SIZE or the machine says. False with *error
 * set, and nothing made. */
bool region_make(struct region *region, const char **error);

#endif
