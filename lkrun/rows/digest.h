/* XXH64 (Yann Collet, "xxHash fast digest algorithm", version 0.1.1), which tells whether bytes
 * have changed: by accident, as it does not withstand forgers. */
#ifndef LKRUN_DIGEST_H
#define LKRUN_DIGEST_H

#include <stddef.h>
#include <stdint.h>

struct digest {
    uint64_t lane[4];
    uint64_t seed;
    uint64_t length;         /* bytes so far */
    unsigned char block[32]; /* the last of them, which do not fill a block yet */
};

void digest_begin(struct digest *digest, uint64_t seed);
void digest_add(struct digest *digest, const void *bytes, size_t length);
uint64_t digest_end(const struct digest *digest);

#endif
