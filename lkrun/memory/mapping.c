/* Invariants: every mapping ever made is in the list `all` and stays there, so that the handler of
 * SIGBUS can look for an address in it at any moment; one whose `bytes` is 0 is free to be used
 * again. `bytes` is set last and cleared first.
 *
 * A page that the file has lost is, from the fault until mapping_describe_loss, an anonymous page
 * of zeros, so that the code that read it goes on; and then a page of an empty file, so that the
 * next reader faults again. Zeros never pass for data: whoever starts a computation compares
 * mapping_losses() before and after it, and the handler calls the function that was given to
 * mapping_catch_losses, with which the program's Lua code is interrupted. */
#include "memory/mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOTHING SIZE_MAX

struct mapping {
    atomic_uint references;
    _Atomic(char *) base;
    atomic_size_t bytes; /* 0: not in use */
    atomic_size_t lost;  /* from this offset on the pages are zeros; NOTHING: none are */
    char *path;
    dev_t device; /* with `inode`, which file it is, whatever its name */
    ino_t inode;
    struct mapping *next;
};

static _Atomic(struct mapping *) all;
static _Atomic(struct mapping *) last_lost; /* the mapping whose page was lost last */
static atomic_uint losses; /* how many there were in this process, see mapping_losses */
/* Held while a mapping is made, released or described; not by the handler. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int empty_file = -1;
static void (*tell_loss)(int signal_number); /* given to mapping_catch_losses, or NULL */

/* Gives a mapping that is free to be used again, or a new one. NULL: out of memory. Under the
 * mutex. */
static struct mapping *find_free(void)
{
    struct mapping *mapping = atomic_load(&all);
    while (mapping && atomic_load(&mapping->references))
        mapping = mapping->next;
    if (mapping)
        return mapping;
    mapping = calloc(1, sizeof *mapping);
    if (!mapping)
        return NULL;
    mapping->next = atomic_load(&all);
    atomic_store(&all, mapping);
    return mapping;
}

/* Notes a new mapping in `all`. NULL: out of memory, or of descriptors. Under the mutex. */
static struct mapping *add(char *base, size_t bytes, const char *path, const struct stat *status)
{
    if (empty_file < 0)
        empty_file = memfd_create("lkrun-empty", MFD_CLOEXEC);
    char *copy = strdup(path);
    struct mapping *mapping = empty_file >= 0 && copy ? find_free() : NULL;
    if (!mapping) {
        free(copy);
        return NULL;
    }
    free(mapping->path);
    mapping->path = copy;
    mapping->device = status->st_dev;
    mapping->inode = status->st_ino;
    atomic_store(&mapping->references, 1);
    atomic_store(&mapping->lost, NOTHING);
    atomic_store(&mapping->base, base);
    atomic_store(&mapping->bytes, bytes);
    return mapping;
}

struct mapping *mapping_open(int descriptor, size_t bytes, const char *path)
{
    struct stat status;
    void *base = bytes && fstat(descriptor, &status) == 0
                     ? mmap(NULL, bytes, PROT_READ, MAP_SHARED, descriptor, 0)
                     : MAP_FAILED;
    if (base == MAP_FAILED)
        return NULL;
    pthread_mutex_lock(&mutex);
    struct mapping *mapping = add(base, bytes, path, &status);
    pthread_mutex_unlock(&mutex);
    if (!mapping)
        munmap(base, bytes);
    return mapping;
}

void mapping_release(struct mapping *mapping)
{
    pthread_mutex_lock(&mutex); /* mapping_open may reuse this one once it has no reference */
    if (atomic_load(&mapping->references) == 1) {
        size_t bytes = atomic_exchange(&mapping->bytes, 0);
        munmap(atomic_load(&mapping->base), bytes);
    }
    atomic_fetch_sub(&mapping->references, 1);
    pthread_mutex_unlock(&mutex);
}

const char *mapping_bytes(const struct mapping *mapping)
{
    return atomic_load(&mapping->base);
}

size_t mapping_size(const struct mapping *mapping)
{
    return atomic_load(&mapping->bytes);
}

const char *mapping_path(const struct mapping *mapping)
{
    return mapping->path;
}

int mapping_reopen(const struct mapping *mapping)
{
    struct stat status;
    /* O_NONBLOCK, because the name may by now be a pipe's, on which open would wait. */
    int descriptor = open(mapping->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor >= 0 && fstat(descriptor, &status) == 0 && status.st_dev == mapping->device &&
        status.st_ino == mapping->inode)
        return descriptor;
    if (descriptor >= 0)
        close(descriptor);
    return -1;
}

static void release_storage(struct storage *storage)
{
    mapping_release(storage->owner);
}

struct storage *mapping_storage(struct mapping *mapping, const void *data, size_t bytes)
{
    struct storage *storage = storage_wrap_file((void *)data, bytes, release_storage, mapping);
    if (storage)
        atomic_fetch_add(&mapping->references, 1);
    return storage;
}

struct mapping *mapping_of(const struct storage *storage)
{
    return storage->release == release_storage ? storage->owner : NULL;
}

/* ---- Losses ---- */

/* The mapping that the address lies in, or NULL. The handler of SIGBUS calls this. */
static struct mapping *find(const char *address)
{
    for (struct mapping *mapping = atomic_load(&all); mapping; mapping = mapping->next) {
        size_t bytes = atomic_load(&mapping->bytes);
        const char *base = atomic_load(&mapping->base);
        if (bytes && address >= base && (size_t)(address - base) < bytes)
            return mapping;
    }
    return NULL;
}

/* Maps the descriptor (or, with -1, zeros) in place of the mapping's pages from an offset on. */
static bool replace_pages(struct mapping *mapping, size_t from, int flags, int descriptor)
{
    return mmap(atomic_load(&mapping->base) + from, atomic_load(&mapping->bytes) - from, PROT_READ,
                flags | MAP_FIXED, descriptor, 0) != MAP_FAILED;
}

static void on_bus_error(int signal_number, siginfo_t *info, void *context)
{
    (void)context;
    int saved_errno = errno;
    /* > 0: from the kernel, a fault */
    struct mapping *mapping = info->si_code > 0 ? find(info->si_addr) : NULL;
    /* The signal was sent by this process itself, when another thread took the fault and
     * `tell_loss` passed it on to this one. */
    bool caught = info->si_code == SI_TKILL && info->si_pid == getpid();
    if (mapping) {
        size_t page = (size_t)sysconf(_SC_PAGESIZE);
        size_t from = (size_t)((char *)info->si_addr - atomic_load(&mapping->base)) / page * page;
        caught = replace_pages(mapping, from, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
        if (from < atomic_load(&mapping->lost))
            atomic_store(&mapping->lost, from);
        atomic_store(&last_lost, mapping);
        atomic_fetch_add(&losses, 1);
    }
    if (caught && tell_loss)
        tell_loss(signal_number);
    if (!caught)
        signal(signal_number, SIG_DFL); /* a fault is repeated at once, and then ends the process */
    if (!caught && info->si_code <= 0)
        raise(signal_number); /* sent by somebody: it would not be repeated */
    errno = saved_errno;
}

void mapping_catch_losses(void (*tell)(int signal_number))
{
    tell_loss = tell;
    struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigaction(SIGBUS, &action, NULL);
}

void mapping_enter_worker(void)
{
    pthread_mutex_init(&mutex, NULL);
    mapping_catch_losses(NULL);
}

unsigned mapping_losses(void)
{
    return atomic_load_explicit(&losses, memory_order_relaxed);
}

void mapping_describe_loss(char problem[MAPPING_PROBLEM_SIZE])
{
    pthread_mutex_lock(&mutex);
    struct mapping *mapping = atomic_load(&last_lost);
    snprintf(problem, MAPPING_PROBLEM_SIZE,
             "lkrun: %.300s: the file lost data while it was mapped: somebody cut it off, or its "
             "disk fails; load it again",
             mapping ? mapping->path : "a file");
    for (mapping = atomic_load(&all); mapping; mapping = mapping->next) {
        size_t from = atomic_load(&mapping->lost);
        if (from != NOTHING && atomic_load(&mapping->bytes) > from &&
            replace_pages(mapping, from, MAP_SHARED, empty_file))
            atomic_store(&mapping->lost, NOTHING);
    }
    pthread_mutex_unlock(&mutex);
}
