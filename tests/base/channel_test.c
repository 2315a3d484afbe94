/* Rings and doorbells where Lua can't reach: frames over the end of a ring, frames that were never
 * finished, both ends as threads (for the thread sanitizer) and as processes, and wake-ups. */
/* runs under: thread, valgrind */
#include "base/channel.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "../support/tap.h"

#define SIZE ((size_t)16 << 10)
#define HANG 300 /* seconds */

/* One ring with a bell for either side, as two processes or threads share it. */
struct line {
    struct ring_shared shared;
    struct doorbell reader_bell, writer_bell;
};

static struct line *line;
static char *memory;
static int reader_descriptor, writer_descriptor;

static uint32_t next_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    return *state ^= *state << 5;
}

static void open_line(void)
{
    line = mmap(NULL, sizeof *line, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    memory = ring_memory_map(1, SIZE, NULL);
    reader_descriptor = eventfd(0, EFD_CLOEXEC);
    writer_descriptor = eventfd(0, EFD_CLOEXEC);
    if (line == MAP_FAILED || !memory || reader_descriptor < 0 || writer_descriptor < 0)
        abort();
}

static void close_line(void)
{
    munmap(line, sizeof *line);
    ring_memory_unmap(memory, 1, SIZE);
    close(reader_descriptor);
    close(writer_descriptor);
}

static struct ring end_of_line(void)
{
    struct ring ring;
    ring_attach(&ring, &line->shared, memory, 0, SIZE);
    return ring;
}

/* The byte that stands at `place` in the frame of that index. */
static char byte_of(uint64_t index, size_t place)
{
    return (char)(index * 31 + place * 7 + (place >> 8));
}

/* Of the frames that are small enough to be short ones, two in three are. */
static bool is_short_frame(uint64_t index, size_t length)
{
    return length <= FRAME_SHORT_MAX && index % 3 != 0;
}

static size_t size_of(uint64_t index, size_t length)
{
    return is_short_frame(index, length) ? frame_short_size(length) : frame_long_size(length);
}

/* Writes a frame that is not published; the caller has seen that there is room. */
static void write_frame(struct ring *ring, uint64_t index, size_t length)
{
    uint8_t kind = (uint8_t)(index % 7 + 1);
    bool is_short = is_short_frame(index, length);
    char *bytes =
        is_short ? ring_short_place(ring) : ring_frame(ring, kind, 0, (uint32_t)length, index);
    for (size_t i = 0; i < length; i++)
        bytes[i] = byte_of(index, i);
    if (is_short)
        ring_short_frame(ring, kind, 0, length);
    ring_advance(ring, size_of(index, length));
}

static bool frame_is_right(const struct frame *frame, uint64_t index)
{
    const char *bytes = frame_bytes(frame);
    if (frame->kind != index % 7 + 1 || (frame_is_long(frame) && frame->index != index))
        return false;
    for (size_t i = 0; i < frame_length(frame); i++)
        if (bytes[i] != byte_of(index, i))
            return false;
    return true;
}

/* The length of frame `index`: any up to a quarter of the ring, often a small one. */
static size_t length_of(uint64_t index)
{
    uint32_t state = (uint32_t)index * 2654435761u + 1;
    next_random(&state);
    size_t most = next_random(&state) % 8 == 0 ? SIZE / 4 : 100;
    return next_random(&state) % most;
}

/* --- one ring --- */

static void test_memory(void)
{
    char *rings = ring_memory_map(3, SIZE, NULL);
    bool seen_twice = true, apart = true;
    for (int i = 0; i < 3; i++) {
        struct ring_shared shared = {0};
        struct ring ring;
        ring_attach(&ring, &shared, rings, i, SIZE);
        for (size_t at = 0; at < SIZE; at += 1021) {
            ring.data[at] = (char)(i + 1);
            seen_twice = seen_twice && ring.data[at + SIZE] == i + 1;
            ring.data[at + SIZE] = (char)(i + 101);
            seen_twice = seen_twice && ring.data[at] == i + 101;
        }
    }
    for (int i = 0; i < 3; i++)
        apart = apart && rings[(size_t)i * 2 * SIZE] == i + 101;
    tap_ok(seen_twice, "a ring is mapped twice in a row");
    tap_ok(apart, "rings lie apart");
    ring_memory_unmap(rings, 3, SIZE);
}

static void test_wrap_around(void)
{
    open_line();
    struct ring writer = end_of_line(), reader = end_of_line();
    bool right = true, crossed = false;
    uint64_t written = 0, taken = 0;
    uint32_t state = 99;
    while (right && written < 20000) {
        while (written - taken < 1 + next_random(&state) % 20) {
            size_t length = length_of(written);
            size_t whole = size_of(written, length);
            if (ring_room(&writer, whole) < whole)
                break;
            size_t place = (size_t)(writer.at % SIZE);
            crossed = crossed || place + whole > SIZE;
            write_frame(&writer, written++, length);
        }
        ring_publish(&writer);
        for (const struct frame *frame; right && (frame = ring_peek(&reader));) {
            right = frame_is_right(frame, taken) && frame_length(frame) == length_of(taken);
            taken++;
            ring_take(&reader, frame);
            if (next_random(&state) % 3 == 0)
                break;
        }
        ring_release(&reader);
    }
    tap_ok(right, "20,000 frames arrive as they were written");
    tap_ok(crossed && writer.at > 100 * SIZE, "some over the end of the ring, in many rounds");
    close_line();
}

static void test_full(void)
{
    open_line();
    struct ring writer = end_of_line(), reader = end_of_line();
    uint64_t count = 0;
    const size_t length = 1100;
    while (ring_room(&writer, frame_long_size(length)) >= frame_long_size(length)) {
        write_frame(&writer, count++, length);
        ring_publish(&writer);
    }
    tap_ok(count == SIZE / frame_long_size(length), "a ring takes what fits");
    size_t rest = SIZE - count * frame_long_size(length);
    tap_ok(ring_room(&writer, SIZE) == rest, "and knows what is left");
    write_frame(&writer, count++, rest - sizeof(struct frame));
    ring_publish(&writer);
    tap_ok(ring_room(&writer, 1) == 0, "to the last byte");
    const struct frame *frame = ring_peek(&reader);
    ring_take(&reader, frame);
    tap_ok(ring_room(&writer, 1) == 0, "what was taken is not free before it is released");
    ring_release(&reader);
    tap_ok(ring_room(&writer, 1) == frame_long_size(length), "and is free then");
    bool right = true;
    for (uint64_t i = 1; i < count; i++) {
        frame = ring_peek(&reader);
        right = right && frame && frame_is_right(frame, i);
        if (frame)
            ring_take(&reader, frame);
    }
    tap_ok(right && !ring_peek(&reader), "a full ring is read to its end");
    close_line();
}

static void test_unpublished(void)
{
    open_line();
    struct ring writer = end_of_line(), reader = end_of_line();
    write_frame(&writer, 0, 50);
    tap_ok(!ring_peek(&reader), "a frame that is not published is not seen");
    ring_publish(&writer);
    write_frame(&writer, 1, 50);
    const struct frame *frame = ring_peek(&reader);
    bool first = frame && frame_is_right(frame, 0);
    if (frame)
        ring_take(&reader, frame);
    tap_ok(first && !ring_peek(&reader), "nor one behind a published one");
    writer.at -= size_of(1, 50); /* the writer may take it back, and write another in its place */
    write_frame(&writer, 2, 20);
    ring_publish(&writer);
    frame = ring_peek(&reader);
    tap_ok(frame && frame_is_right(frame, 2), "one that was taken back never was");
    close_line();
}

/* A writer that is killed at any moment leaves whole frames alone. */
static void test_killed_writer(void)
{
    bool right = true;
    uint64_t frames = 0, rounds = 100;
    for (uint64_t round = 0; right && round < rounds; round++) {
        open_line();
        pid_t pid = fork();
        if (pid == 0) {
            struct ring writer = end_of_line();
            for (uint64_t i = 0;;) {
                size_t whole = size_of(i, length_of(i));
                if (ring_room(&writer, whole) < whole) {
                    sched_yield();
                    continue;
                }
                write_frame(&writer, i, length_of(i));
                ring_publish(&writer);
                i++;
            }
        }
        struct ring reader = end_of_line();
        uint64_t taken = 0;
        for (bool killed = false;;) {
            const struct frame *frame = ring_peek(&reader);
            if (!frame && killed)
                break;
            if (!frame) {
                sched_yield();
                continue;
            }
            right =
                right && frame_is_right(frame, taken) && frame_length(frame) == length_of(taken);
            ring_take(&reader, frame);
            ring_release(&reader);
            if (++taken == 20 + round * 7 && !killed) {
                kill(pid, SIGKILL);
                waitpid(pid, NULL, 0);
                killed = true;
            }
        }
        frames += taken;
        close_line();
    }
    tap_ok(right, "a writer killed %llu times leaves whole frames alone (%llu read)",
           (unsigned long long)rounds, (unsigned long long)frames);
}

/* --- two sides that sleep --- */

#define FRAMES 30000

static void wait_for_room(struct ring *writer, size_t whole)
{
    while (ring_room(writer, whole) < whole) {
        doorbell_announce(&line->writer_bell);
        if (ring_room(writer, whole) >= whole) {
            doorbell_cancel(&line->writer_bell);
            return;
        }
        doorbell_wait(&line->writer_bell, writer_descriptor);
    }
}

static void *write_all(void *unused)
{
    struct ring writer = end_of_line();
    for (uint64_t i = 0; i < FRAMES; i++) {
        size_t length = length_of(i);
        wait_for_room(&writer, size_of(i, length));
        write_frame(&writer, i, length);
        ring_publish(&writer);
        doorbell_ring(&line->reader_bell, reader_descriptor);
    }
    return unused;
}

static const struct frame *wait_for_frame(struct ring *reader)
{
    const struct frame *frame;
    while (!(frame = ring_peek(reader))) {
        doorbell_announce(&line->reader_bell);
        if ((frame = ring_peek(reader))) {
            doorbell_cancel(&line->reader_bell);
            break;
        }
        doorbell_wait(&line->reader_bell, reader_descriptor);
    }
    return frame;
}

static bool read_all(void)
{
    struct ring reader = end_of_line();
    for (uint64_t i = 0; i < FRAMES; i++) {
        const struct frame *frame = wait_for_frame(&reader);
        if (!frame_is_right(frame, i) || frame_length(frame) != length_of(i))
            return false;
        ring_take(&reader, frame);
        ring_release(&reader);
        doorbell_ring(&line->writer_bell, writer_descriptor);
    }
    return !ring_peek(&reader);
}

static void test_two_threads(void)
{
    open_line();
    pthread_t writer;
    pthread_create(&writer, NULL, write_all, NULL);
    bool right = read_all();
    pthread_join(writer, NULL);
    tap_ok(right, "%d frames from one thread to another, each sleeping when it must", FRAMES);
    close_line();
}

static bool write_in_process(void)
{
    write_all(NULL);
    return true;
}

static void test_two_processes(void)
{
    open_line();
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        _exit(write_in_process() ? 0 : 1);
    bool right = read_all();
    int status = 1;
    waitpid(pid, &status, 0);
    tap_ok(right && status == 0, "%d frames from one process to another", FRAMES);
    close_line();
}

/* --- wake-ups --- */

/* In each round one side publishes and rings while the other announces and looks once more, as near
 * to the same moment as two CPUs can be brought: there a wake-up would be lost, and the sleeper
 * would sleep for ever. */
#define ROUNDS 200000

struct game {
    _Alignas(CACHE_LINE) _Atomic uint64_t begun;     /* the sleeper's: this round may begin */
    _Alignas(CACHE_LINE) _Atomic uint64_t published; /* the waker's: what the sleeper waits for */
    struct doorbell bell;
    int descriptor;
};

/* A few nanoseconds, other ones in every round. */
static void linger(uint32_t *state)
{
    for (volatile uint32_t left = next_random(state) % 64; left; left--) {
    }
}

static void ring_all(struct game *game)
{
    uint32_t state = 5;
    for (uint64_t round = 1; round <= ROUNDS; round++) {
        for (int tries = 0; atomic_load_explicit(&game->begun, memory_order_acquire) < round;
             tries++)
            if (tries > 1000)
                sched_yield();
        linger(&state);
        atomic_store_explicit(&game->published, round, memory_order_release);
        doorbell_ring(&game->bell, game->descriptor);
    }
}

static void sleep_all(struct game *game)
{
    uint32_t state = 7;
    for (uint64_t round = 1; round <= ROUNDS; round++) {
        atomic_store_explicit(&game->begun, round, memory_order_release);
        linger(&state);
        while (atomic_load_explicit(&game->published, memory_order_acquire) < round) {
            doorbell_announce(&game->bell);
            if (atomic_load_explicit(&game->published, memory_order_acquire) >= round) {
                doorbell_cancel(&game->bell);
                break;
            }
            doorbell_wait(&game->bell, game->descriptor);
        }
    }
}

static void *ring_in_thread(void *game)
{
    ring_all(game);
    return NULL;
}

static void test_wake_ups(void)
{
    struct game *game =
        mmap(NULL, sizeof *game, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    game->descriptor = eventfd(0, EFD_CLOEXEC);
    pthread_t waker;
    pthread_create(&waker, NULL, ring_in_thread, game);
    sleep_all(game);
    pthread_join(waker, NULL);
    tap_ok(atomic_load(&game->published) == ROUNDS, "%d races of two threads lose no wake-up",
           ROUNDS);
    atomic_store(&game->begun, 0);
    atomic_store(&game->published, 0);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        ring_all(game);
        _exit(0);
    }
    sleep_all(game);
    waitpid(pid, NULL, 0);
    tap_ok(atomic_load(&game->published) == ROUNDS, "%d races of two processes lose no wake-up",
           ROUNDS);
    close(game->descriptor);
    munmap(game, sizeof *game);
}

static void test_doorbell(void)
{
    struct doorbell bell = {0};
    uint64_t rings = 0;
    int descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    doorbell_ring(&bell, descriptor);
    tap_ok(read(descriptor, &rings, sizeof rings) < 0, "who is awake is not written to");
    doorbell_announce(&bell);
    doorbell_ring(&bell, descriptor);
    doorbell_ring(&bell, descriptor);
    tap_ok(read(descriptor, &rings, sizeof rings) == sizeof rings && rings == 1,
           "who sleeps is written to once");
    doorbell_announce(&bell);
    doorbell_cancel(&bell);
    doorbell_ring(&bell, descriptor);
    tap_ok(read(descriptor, &rings, sizeof rings) < 0, "nor who thought better of it");
    close(descriptor);
}

int main(void)
{
    alarm(HANG); /* a lost wake-up would be for ever */
    test_memory();
    test_wrap_around();
    test_full();
    test_unpublished();
    test_killed_writer();
    test_two_threads();
    test_two_processes();
    test_doorbell();
    test_wake_ups();
    return tap_done();
}
