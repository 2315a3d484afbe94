/* Main invariant: while `editing`, `before` is the terminal's mode from before, and every way out
 * of the process that a signal can take puts it back and stops the marking of pastes. */
#include "screen/terminal_editing.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <termios.h>
#include <unistd.h>

static const char mark_pastes[] = "\033[?2004h", leave_pastes[] = "\033[?2004l";

/* What ends a process without a word to us, most of the time. */
static const int fatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGQUIT, SIGHUP};
enum { FATAL_COUNT = sizeof fatal / sizeof *fatal };

static atomic_bool editing;
static bool noted; /* `during` is known */
static struct termios before, during;
static struct sigaction displaced[FATAL_COUNT];

static void tell(const char *sequence, size_t length)
{
    (void)!write(STDOUT_FILENO, sequence, length);
}

void editing_abandon(void)
{
    int saved = errno;
    if (atomic_exchange(&editing, false)) {
        tell(leave_pastes, sizeof leave_pastes - 1);
        tcsetattr(STDIN_FILENO, TCSANOW, &before);
    }
    errno = saved;
}

void editing_suspend(void)
{
    int saved = errno;
    if (atomic_load(&editing)) {
        tell(leave_pastes, sizeof leave_pastes - 1);
        tcsetattr(STDIN_FILENO, TCSANOW, &before);
    }
    errno = saved;
}

void editing_resume(void)
{
    int saved = errno;
    if (atomic_load(&editing)) {
        if (noted)
            tcsetattr(STDIN_FILENO, TCSANOW, &during);
        tell(mark_pastes, sizeof mark_pastes - 1);
    }
    errno = saved;
}

static const struct sigaction *displaced_by(int signal_number)
{
    int i = 0;
    while (fatal[i] != signal_number)
        i++;
    return &displaced[i];
}

/* Ends as it would have without us; somebody else's handler runs as it would have, and may come
 * back. */
static void on_fatal(int signal_number, siginfo_t *info, void *context)
{
    const struct sigaction *theirs = displaced_by(signal_number);
    if (theirs->sa_handler == SIG_DFL) {
        editing_abandon();
        sigaction(signal_number, theirs, NULL);
        raise(signal_number);
        return;
    }
    editing_suspend();
    if (theirs->sa_flags & SA_SIGINFO)
        theirs->sa_sigaction(signal_number, info, context);
    else
        theirs->sa_handler(signal_number);
    struct sigaction now;
    sigaction(signal_number, NULL, &now);
    if (now.sa_sigaction == on_fatal)
        editing_resume();
    else
        editing_abandon(); /* what they came back to ends it without another word */
}

/* In place of what is there, with its mask and on its stack; what is ignored stays so. */
static void watch_signal(int signal_number, struct sigaction *theirs)
{
    sigaction(signal_number, NULL, theirs);
    if (theirs->sa_handler == SIG_IGN)
        return;
    struct sigaction ours = *theirs;
    ours.sa_sigaction = on_fatal;
    ours.sa_flags |= SA_SIGINFO | (theirs->sa_handler == SIG_DFL ? SA_NODEFER : 0);
    sigaction(signal_number, &ours, NULL);
}

void editing_begin(void)
{
    if (atomic_load(&editing) || tcgetattr(STDIN_FILENO, &before) != 0)
        return;
    for (int i = 0; i < FATAL_COUNT; i++)
        watch_signal(fatal[i], &displaced[i]);
    noted = false;
    atomic_store(&editing, true);
    tell(mark_pastes, sizeof mark_pastes - 1);
}

void editing_take_keys(void)
{
    noted = tcgetattr(STDIN_FILENO, &during) == 0;
    during.c_cc[VSUSP] = _POSIX_VDISABLE;
    if (noted)
        tcsetattr(STDIN_FILENO, TCSANOW, &during);
}

void editing_end(void)
{
    if (!atomic_load(&editing))
        return;
    editing_abandon();
    for (int i = 0; i < FATAL_COUNT; i++)
        sigaction(fatal[i], &displaced[i], NULL);
}
