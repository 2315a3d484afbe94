/* Main invariant: between editor_watch_changes and editor_unwatch_changes SIGWINCH and SIGCONT are
 * blocked, except in the one ppoll that waits for a key; so neither can arrive between looking at
 * its flag and waiting, and be slept through. */
#include "program/editor_input.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "machine/signals.h"
#include "program/editor_draw.h"
#include "program/editor_state.h"
#include "screen/terminal_editing.h"

static pthread_t main_thread; /* the one that edits */
static volatile sig_atomic_t resized, continued;

static void on_change(int signal_number)
{
    int saved = errno;
    if (!pthread_equal(pthread_self(), main_thread))
        pthread_kill(main_thread, signal_number); /* the main thread is the one that waits */
    else if (signal_number == SIGWINCH)
        resized = 1;
    else
        continued = 1;
    errno = saved;
}

/* Waits until there is something to read, and draws the line again where it must be. False: SIGINT
 * or SIGTERM is pending. */
static bool wait_for_key(void)
{
    struct pollfd sources[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                               {.fd = signal_descriptor(), .events = POLLIN}};
    sigset_t waiting;
    pthread_sigmask(SIG_SETMASK, NULL, &waiting);
    sigdelset(&waiting, SIGWINCH);
    sigdelset(&waiting, SIGCONT);
    for (;;) {
        if (signal_pending())
            return false;
        if (continued) {
            resized = continued = 0;
            editing_resume(); /* kill -STOP runs no handler that would do this */
            editor.library->resize(editor.line);
            fputc('\r', editor.output);
            draw_here();
        } else if (resized) {
            resized = 0;
            draw_resized();
        }
        int ready = ppoll(sources, 2, NULL, &waiting);
        if (ready > 0 && sources[0].revents && !signal_pending())
            return true;
        if (ready < 0 && errno != EINTR)
            return true; /* the read will fail for the same reason */
    }
}

int editor_read_character(EditLine *unused, wchar_t *character)
{
    mbstate_t state = {0};
    char byte;
    (void)unused;
    for (;;) {
        if (editor.interrupted || !wait_for_key()) {
            editor.interrupted = true;
            *character = L'\n';
            return 1;
        }
        ssize_t count = read(STDIN_FILENO, &byte, 1);
        if (count < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (count <= 0)
            return 0;
        size_t length = mbrtowc(character, &byte, 1, &state);
        if (length <= 1)
            return 1;
        if (length == (size_t)-1)
            memset(&state, 0, sizeof state); /* a byte that the locale does not know is dropped */
    }
}

void editor_watch_changes(struct editor_watch *before)
{
    struct sigaction action = {.sa_handler = on_change, .sa_flags = SA_RESTART};
    sigset_t changes;
    main_thread = pthread_self();
    sigemptyset(&changes);
    sigaddset(&changes, SIGWINCH);
    sigaddset(&changes, SIGCONT);
    pthread_sigmask(SIG_BLOCK, &changes, &before->mask);
    sigaction(SIGWINCH, &action, &before->resize);
    sigaction(SIGCONT, &action, &before->resume);
    resized = continued = 0;
}

void editor_unwatch_changes(const struct editor_watch *before)
{
    pthread_sigmask(SIG_SETMASK, &before->mask, NULL);
    sigaction(SIGWINCH, &before->resize, NULL);
    sigaction(SIGCONT, &before->resume, NULL);
}
