/* Rings and doorbells.
 *
 * What always holds:
 * - tail ≤ head ≤ tail + size. Only the writer moves head, only the reader moves tail, each forward
 *   and with release order; each reads the other's with acquire order. So the bytes between tail
 *   and head belong to the reader, all others to the writer.
 * - What is before head is whole frames: a writer that dies in the middle of a frame has published
 *   nothing of it.
 * - A sleeper sets `asleep`, fences, and looks for work; the waker publishes work, fences,
 *   and looks at `asleep`. With sequentially consistent fences one of the two sees the
 *   other, so no wake-up is lost. Only the waker that itself takes `asleep` from 1 to 0 writes
 *   to the eventfd, so there is one write for a sleep. */
#include "base/channel.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/util.h"

static size_t mapped_size(int count, size_t size)
{
    return (size_t)count * size * 2;
}

char *ring_memory_attach(int descriptor, int count, size_t size)
{
    char *memory = mmap(NULL, mapped_size(count, size), PROT_NONE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    for (int i = 0; memory != MAP_FAILED && i < count * 2; i++)
        if (mmap(memory + (size_t)i * size, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
                 descriptor, (off_t)((size_t)(i / 2) * size)) == MAP_FAILED) {
            int reason = errno;
            munmap(memory, mapped_size(count, size));
            errno = reason;
            memory = MAP_FAILED;
        }
    return memory == MAP_FAILED ? NULL : memory;
}

char *ring_memory_map(int count, size_t size, int *kept)
{
    int descriptor = memfd_create("lkrun-rings", MFD_CLOEXEC);
    if (descriptor < 0)
        return NULL;
    char *memory = NULL;
    if (file_resize(descriptor, (size_t)count * size))
        memory = ring_memory_attach(descriptor, count, size);
    int reason = errno;
    if (kept && memory)
        *kept = descriptor;
    else
        close(descriptor);
    errno = reason;
    return memory;
}

void ring_memory_unmap(char *memory, int count, size_t size)
{
    munmap(memory, mapped_size(count, size));
}

void ring_attach(struct ring *ring, struct ring_shared *shared, char *memory, int index,
                 size_t size)
{
    ring->shared = shared;
    ring->data = memory + (size_t)index * size * 2;
    ring->size = size;
    ring->at = atomic_load_explicit(&shared->tail, memory_order_acquire);
    ring->seen = ring->at;
}

void doorbell_ring(struct doorbell *bell, int descriptor)
{
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&bell->asleep, memory_order_relaxed) &&
        atomic_exchange_explicit(&bell->asleep, 0, memory_order_acq_rel)) {
        const uint64_t one = 1;
        while (write(descriptor, &one, sizeof one) < 0 && errno == EINTR) {
        }
    }
}

void doorbell_announce(struct doorbell *bell)
{
    atomic_store_explicit(&bell->asleep, 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
}

void doorbell_cancel(struct doorbell *bell)
{
    /* If the other side has already taken the flag, it writes to the descriptor all the same. The
     * next wait then returns at once, which does no harm: the sleeper looks for work again. */
    atomic_store_explicit(&bell->asleep, 0, memory_order_relaxed);
}

void doorbell_wait(struct doorbell *bell, int descriptor)
{
    uint64_t rings;
    (void)!read(descriptor, &rings, sizeof rings);
    atomic_store_explicit(&bell->asleep, 0, memory_order_relaxed);
}

/* Tells the CPU that this is a loop which waits. */
static inline void pause_a_moment(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

bool patience_look(struct patience *patience, bool (*ready)(void *context), void *context)
{
    if (ready(context))
        return true;
    /* After n misses in a row only every 2^n-th call looks for longer; after 6 or more, every
     * 64th. */
    uint32_t rarity = patience->misses < 6 ? patience->misses : 6;
    if (patience->waits++ & ((1u << rarity) - 1))
        return false;
    uint64_t until = clock_nanoseconds() + PATIENCE;
    do {
        for (int i = 0; i < 32; i++) {
            if (ready(context)) {
                patience->misses = 0;
                return true;
            }
            pause_a_moment();
        }
    } while (clock_nanoseconds() < until);
    patience->misses++;
    return false;
}
