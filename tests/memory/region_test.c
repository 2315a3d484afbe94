/* The region where Lua can't reach: what is reused and when, what a fork sees and may write. Each
 * test runs in a process of its own, for a process has one region. */
/* runs under: valgrind */
#include "memory/region.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#include "../support/tap.h"

#define PAGE  ((size_t)4096)
#define SIZE  ((size_t)16 << 20)
#define LIMIT 300 /* seconds a test may take */
#define TRAP  77  /* how a process ends that wrote where it must not */

static const char *error;

static void open_region(size_t size)
{
    char text[32];
    snprintf(text, sizeof text, "%zu", size);
    setenv("LK_REGION_SIZE", text, 1);
    if (!region_open(&error))
        abort();
}

static char *get(size_t bytes)
{
    return region_alloc(bytes, false, &error);
}

static bool is_zero(const char *bytes, size_t length)
{
    return length == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, length - 1) == 0);
}

static bool is_filled(const char *bytes, size_t length, char with)
{
    return length == 0 || (bytes[0] == with && memcmp(bytes, bytes + 1, length - 1) == 0);
}

/* --- room --- */

static bool full(void)
{
    open_region(SIZE);
    char *segments[256];
    int count = 0;
    while (count < 256 && (segments[count] = get(100 * 1024)))
        count++;
    bool said = error && strstr(error, "the region is full") && strstr(error, "LK_REGION_SIZE");
    bool used = region_use().used == (size_t)count * 25 * PAGE && count == SIZE / (25 * PAGE);
    for (int i = 0; i < count; i += 2)
        region_free(segments[i]);
    bool scattered = !get(SIZE / 2);
    for (int i = 1; i < count; i += 2)
        region_free(segments[i]);
    char *all = get(SIZE);
    bool whole = all && region_use().used == SIZE && !get(1);
    region_free(all);
    return said && used && scattered && whole && region_use().used == 0;
}

static bool too_large(void)
{
    open_region(SIZE);
    return !get(SIZE + 1) && strstr(error, "more are needed") && !get(SIZE_MAX) &&
           !get(SIZE_MAX - PAGE) && get(0) && get(1);
}

static bool wrong_size(void)
{
    static const char *const wrong[] = {
        "lots", "-1", "5", "1048575", "12 ", "1e9", "99999999999999999999"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        setenv("LK_REGION_SIZE", wrong[i], 1);
        error = "";
        if (region_open(&error) || !strstr(error, "LK_REGION_SIZE") || !strstr(error, wrong[i]))
            return false;
    }
    setenv("LK_REGION_SIZE", "", 1);
    return region_open(&error) && region_use().size > SIZE;
}

static bool neighbours_merge(void)
{
    open_region(SIZE);
    char *a = get(3 * PAGE), *b = get(5 * PAGE), *c = get(7 * PAGE), *d = get(PAGE);
    region_free(a);
    region_free(c);
    region_free(b);
    char *whole = get(15 * PAGE);
    region_free(d);
    return whole == a && region_use().used == 15 * PAGE;
}

/* --- bytes --- */

static bool zeroed(void)
{
    open_region(SIZE);
    for (int round = 0; round < 50; round++) {
        size_t bytes = (size_t)(round * 37 % 100 + 1) * 1000;
        char *dirty = get(bytes);
        memset(dirty, 0xAA, bytes);
        char *kept = get(PAGE);
        region_free(dirty);
        char *clean = region_alloc(bytes, true, &error);
        if (!clean || !is_zero(clean, bytes))
            return false;
        memset(clean, 0x55, bytes);
        region_free(clean);
        region_free(kept);
    }
    return region_use().used == 0;
}

/* What was freed is kept up to a limit; beyond it the pages go, and come back as zeros. */
static bool pages_go(void)
{
    open_region((size_t)1 << 30);
    const size_t part = (size_t)160 << 20;
    char *a = get(part), *b = get(part), *c = get(part);
    memset(a, 1, PAGE);
    memset(b, 1, PAGE);
    memset(c, 1, PAGE);
    region_free(a);
    bool kept = region_use().idle == part;
    region_free(b);
    region_free(c);
    bool gone = region_use().idle <= (size_t)256 << 20;
    char *clean = region_alloc(3 * part, true, &error);
    return kept && gone && clean && is_zero(clean, PAGE) && is_zero(clean + part, PAGE) &&
           is_zero(clean + 2 * part, PAGE);
}

/* --- generations --- */

static uint32_t begin_generation(void)
{
    uint32_t generation = region_fork_lock();
    region_fork_unlock();
    return generation;
}

static bool kept_while_inherited(void)
{
    open_region(SIZE);
    char *inherited = get(10 * PAGE);
    uint32_t one = begin_generation();
    char *later = get(10 * PAGE);
    region_free(later);
    bool reused = get(10 * PAGE) == later; /* no worker has inherited it */
    region_free(inherited);
    bool waits = region_use().idle == 10 * PAGE && get(10 * PAGE) != inherited;
    uint32_t two = begin_generation();
    region_end_generation(one); /* when the second generation began, it was free already */
    bool back = get(10 * PAGE) == inherited;
    region_end_generation(two);
    return reused && waits && back;
}

static bool kept_for_the_last_generation(void)
{
    open_region(SIZE);
    char *inherited = get(10 * PAGE);
    uint32_t one = begin_generation(), two = begin_generation(), three = begin_generation();
    region_free(inherited);
    region_end_generation(two);
    bool waits = get(10 * PAGE) != inherited;
    region_end_generation(three);
    waits = waits && get(10 * PAGE) != inherited;
    region_end_generation(one);
    return waits && get(10 * PAGE) == inherited;
}

/* Thousands of steps against a plain account of who may still see what. */
enum { SPANS = 400, GENERATIONS = 6 };

struct account {
    char *base;
    size_t pages;
    bool used;
    unsigned inherited_by; /* generations that live and saw it, bit by bit */
};

static bool overlap(const struct account *a, const char *base, size_t pages)
{
    return a->base < base + pages * PAGE && base < a->base + a->pages * PAGE;
}

static bool account_alloc(struct account *spans, unsigned seed)
{
    size_t pages = 1 + seed % 24;
    char *base = region_alloc(pages * PAGE - seed % PAGE, true, &error);
    if (!base)
        return true; /* the region is full; later steps free something */
    if (!is_zero(base, pages * PAGE - seed % PAGE))
        return false;
    int place = -1;
    for (int i = 0; i < SPANS; i++) {
        bool known = spans[i].used || spans[i].inherited_by;
        if (known && overlap(&spans[i], base, pages))
            return false; /* a span that is used, or that a living generation sees */
        if (!known)
            place = i;
    }
    if (place < 0) {
        region_free(base);
        return true;
    }
    spans[place] = (struct account){base, pages, true, 0};
    memset(base, place + 1, pages * PAGE - seed % PAGE);
    return true;
}

static bool against_an_account(void)
{
    open_region(SIZE / 2);
    static struct account spans[SPANS];
    uint32_t living[GENERATIONS] = {0};
    unsigned state = 12345;
    for (int step = 0; step < 40000; step++) {
        state = state * 1664525u + 1013904223u;
        unsigned choice = state >> 24, seed = state >> 4;
        struct account *span = &spans[seed % SPANS];
        uint32_t *generation = &living[seed % GENERATIONS];
        unsigned bit = 1u << (seed % GENERATIONS);
        if (choice < 120) {
            if (!account_alloc(spans, seed))
                return false;
        } else if (choice < 248) {
            if (!span->used)
                continue;
            if (*span->base != (char)(span - spans + 1))
                return false;
            region_free(span->base);
            span->used = false;
        } else if (*generation) {
            region_end_generation(*generation);
            *generation = 0;
            for (int i = 0; i < SPANS; i++)
                spans[i].inherited_by &= ~bit;
        } else {
            *generation = begin_generation();
            for (int i = 0; i < SPANS; i++)
                if (spans[i].used)
                    spans[i].inherited_by |= bit;
        }
    }
    for (int i = 0; i < GENERATIONS; i++)
        if (living[i])
            region_end_generation(living[i]);
    for (int i = 0; i < SPANS; i++)
        if (spans[i].used)
            region_free(spans[i].base);
    return region_use().used == 0 && get(SIZE / 2); /* all of it is one piece again */
}

/* --- a fork --- */

static void trap(int signal_number)
{
    (void)signal_number;
    _exit(TRAP);
}

/* Runs `body` as a worker would; its exit status. */
static int in_worker(int (*body)(void *context), void *context)
{
    int status = -1;
    uint32_t generation = region_fork_lock();
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGSEGV, trap);
        region_enter_worker();
        _exit(body(context));
    }
    region_fork_unlock();
    waitpid(pid, &status, 0);
    region_end_generation(generation);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int write_it(void *segment)
{
    *(volatile char *)segment = 9;
    return *(char *)segment == 9 ? 0 : 1;
}

static int read_it(void *segment)
{
    return *(volatile char *)segment;
}

static bool protected_in_workers(void)
{
    open_region(SIZE);
    char *before = get(3 * PAGE), *writable = get(3 * PAGE), *after = get(3 * PAGE);
    before[0] = after[0] = 5;
    region_mark_writable(writable, true);
    bool kept = in_worker(write_it, before) == TRAP && in_worker(write_it, after) == TRAP &&
                in_worker(write_it, before + 3 * PAGE - 1) == TRAP;
    bool read = in_worker(read_it, before) == 5 && in_worker(read_it, after) == 5;
    bool shared = in_worker(write_it, writable) == 0 && writable[0] == 9 &&
                  in_worker(write_it, writable + 3 * PAGE - 1) == 0;
    region_mark_writable(writable, false);
    return kept && read && shared && in_worker(write_it, writable) == TRAP && before[0] == 5;
}

static int make_private(void *segment)
{
    return region_set_private(segment, 3 * PAGE, true) && write_it(segment) == 0 ? 0 : 1;
}

static int make_private_and_shared(void *segment)
{
    bool made = make_private(segment) == 0 && region_set_private(segment, 3 * PAGE, false);
    return made && *(char *)segment == 4 && write_it(segment) == 0 ? 0 : 1;
}

static bool private_copies(void)
{
    open_region(SIZE);
    char *segment = get(3 * PAGE);
    segment[0] = 4;
    bool apart = in_worker(make_private, segment) == 0 && segment[0] == 4;
    return apart && in_worker(make_private_and_shared, segment) == 0 && segment[0] == 9;
}

static int use_own_region(void *inherited)
{
    region_free(inherited); /* is not ours to free */
    char *own = region_alloc(10 * PAGE, true, &error);
    bool apart = own && is_zero(own, 10 * PAGE) && own != inherited;
    own[0] = 1;
    bool known = region_owns(own) && !region_owns(inherited);
    bool resolved = region_resolve_own(region_handle(own), 1) == own &&
                    region_resolve_inherited(region_handle(inherited), 1) == inherited;
    size_t used = region_use().used;
    region_free(own);
    return apart && known && resolved && used == 10 * PAGE && region_use().used == 0 ? 0 : 1;
}

static bool regions_of_workers(void)
{
    open_region(SIZE);
    char *segment = get(10 * PAGE);
    memset(segment, 3, 10 * PAGE);
    size_t used = region_use().used;
    bool apart = in_worker(use_own_region, segment) == 0;
    return apart && region_use().used == used && is_filled(segment, 10 * PAGE, 3);
}

/* What the host allocates after the fork is there in the worker, for results. */
static bool granted_later(void)
{
    open_region(SIZE);
    int to_worker[2];
    if (pipe(to_worker) < 0)
        return false;
    get(PAGE);
    uint32_t generation = region_fork_lock();
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        uint64_t handle;
        region_enter_worker();
        if (read(to_worker[0], &handle, sizeof handle) != sizeof handle)
            _exit(1);
        char *room = region_resolve_inherited(handle, 5 * PAGE);
        bool outside = !region_resolve_inherited(SIZE - PAGE, 2 * PAGE) &&
                       !region_resolve_inherited(UINT64_MAX, 1);
        memset(room, 8, 5 * PAGE);
        _exit(outside ? 0 : 1);
    }
    region_fork_unlock();
    char *granted = get(5 * PAGE);
    uint64_t handle = region_handle(granted);
    bool told = write(to_worker[1], &handle, sizeof handle) == sizeof handle;
    int status = -1;
    waitpid(pid, &status, 0);
    region_end_generation(generation);
    return told && status == 0 && is_filled(granted, 5 * PAGE, 8);
}

/* --- threads --- */

static atomic_bool intact = true;

static void *churn(void *name)
{
    const char *reason;
    char mark = *(const char *)name;
    unsigned state = (unsigned)mark;
    for (int i = 0; i < 3000; i++) {
        state = state * 1664525u + 1013904223u;
        size_t bytes = (state >> 12) % (20 * PAGE) + 1;
        char *segment = region_alloc(bytes, false, &reason);
        if (!segment)
            continue;
        memset(segment, mark, bytes);
        if (!is_filled(segment, bytes, mark))
            atomic_store(&intact, false);
        region_free(segment);
    }
    return NULL;
}

static bool four_threads(void)
{
    open_region(SIZE);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, churn, &"abcd"[i]);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    return atomic_load(&intact) && region_use().used == 0 && get(SIZE);
}

int main(void)
{
    static const struct {
        bool (*body)(void);
        const char *name;
    } tests[] = {
        {full, "a full region says so, and is whole again when all is freed"},
        {too_large, "what is too large is refused; nothing at all gets a page"},
        {wrong_size, "a wrong LK_REGION_SIZE is named"},
        {neighbours_merge, "freed neighbours become one"},
        {zeroed, "what is asked for zeroed is zero, whatever was there"},
        {pages_go, "much that is freed goes back to the system"},
        {kept_while_inherited, "a segment that was alive at a fork is kept for those workers"},
        {kept_for_the_last_generation, "... until the last of them has ended"},
        {against_an_account, "40,000 steps give nobody what another may see"},
        {protected_in_workers,
         "a worker that writes an inherited page dies, unless it is writable"},
        {private_copies, "a worker can make its view of a segment private, and shared again"},
        {regions_of_workers, "a worker has a region of its own, and frees nothing inherited"},
        {granted_later, "what is allocated after a fork is there in the worker"},
        {four_threads, "four threads at once"},
    };
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
        tap_ok(tap_forked(tests[i].body, LIMIT), "%s", tests[i].name);
    return tap_done();
}
