/* What a region consists of: region_make.c makes it, region.c keeps it. */
#ifndef LKRUN_REGION_LAYOUT_H
#define LKRUN_REGION_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE 4096u
#define NONE UINT32_MAX
#define BINS 32

enum span_state { SPAN_FREE = 1, SPAN_USED, SPAN_WAITING };

struct span {
    uint32_t pages;      /* its length; noted for the span's last page too */
    uint32_t next, prev; /* in its bin, or in the list of waiting spans */
    uint32_t born;       /* number of generations of workers begun before it was allocated */
    uint32_t freed;      /* of a waiting span: the same number when it was freed */
    uint8_t state;       /* enum span_state; noted for the span's last page too */
    bool dirty;          /* of a free span: may hold other bytes than 0 */
    bool writable;       /* of a used span: workers may write it */
};

struct region {
    char *base; /* of the range of addresses */
    size_t size;
    int fd;
    uint32_t pages;
    uint32_t top;       /* pages from here on were never used */
    struct span *spans; /* [pages], of which only those that were ever written take memory */
    uint32_t bin[BINS]; /* [i]: first free span of 2^i to 2^(i+1) - 1 pages; NONE: none */
    uint32_t waiting;   /* first waiting span; NONE: there is none */
    size_t used_pages;  /* of allocated spans */
    size_t idle_pages;  /* of waiting spans */
    size_t kept_pages;  /* of free dirty spans */
};

#endif
