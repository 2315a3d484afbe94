/* Main invariant: while `editing`, `before` is the mode that the terminal had before, and whichever
 * signal ends the process, its handler puts that mode back and stops the marking of pastes. */
#include "screen/terminal_editing.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <termios.h>
#include <unistd.h>

static const char mark_pastes[] = "\033[?2004h", leave_pastes[] = "\033[?2004l";

/* Signals that usually end a process without running any handler of ours. */
static const int fatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGQUIT, SIGHUP};
enum { FATAL_COUNT = sizeof fatal / sizeof *fatal };

static atomic_bool editing;
static struct termios before; /* the terminal's mode before editing */
static struct termios during; /* its mode while editing */
static bool has_during;
static struct sigaction displaced[FATAL_COUNT]; /* the handlers of `fatal` before ours */

static void tell_terminal(const char *sequence, size_t length)
{
    (void)!write(STDOUT_FILENO, sequence, length);
}

void editing_abandon(void)
{
    int saved = errno;
    if (atomic_exchange(&editing, false)) {
        tell_terminal(leave_pastes, sizeof leave_pastes - 1);
        tcsetattr(STDIN_FILENO, TCSANOW, &before);
    }
    errno = saved;
}

void editing_suspend(void)
{
    int saved = errno;
    if (atomic_load(&editing)) {
        tell_terminal(leave_pastes, sizeof leave_pastes - 1);
        tcsetattr(STDIN_FILENO, TCSANOW, &before);
    }
    errno = saved;
}

void editing_resume(void)
{
    int saved = errno;
    if (atomic_load(&editing)) {
        if (has_during)
            tcsetattr(STDIN_FILENO, TCSANOW, &during);
        tell_terminal(mark_pastes, sizeof mark_pastes - 1);
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

/* Gives the terminal back. The signal then ends the process as it would have done without this
 * handler; where the program has a handler of its own, that one is called instead, and may
 * return. */
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
        editing_abandon(); /* their handler has replaced on_fatal: it sees no further signal */
}

/* Puts on_fatal in place of the signal's handler, with the same mask and on the same stack. A
 * signal that is ignored stays ignored. */
static void watch_signal(int signal_number, struct sigaction *theirs)
{
    sigaction(signal_number, NULL, theirs);
    if (theirs->sa_handler == SIG_IGN)
        return;
    struct sigaction ours = *theirs;
    ours.sa_sigaction = on_fatal;
    /* With SA_NODEFER, raise() in on_fatal acts at once. */
    ours.sa_flags |= SA_SIGINFO | (theirs->sa_handler == SIG_DFL ? SA_NODEFER : 0);
    sigaction(signal_number, &ours, NULL);
}

void editing_begin(void)
{
    if (atomic_load(&editing) || tcgetattr(STDIN_FILENO, &before) != 0)
        return;
    for (int i = 0; i < FATAL_COUNT; i++)
        watch_signal(fatal[i], &displaced[i]);
    has_during = false;
    atomic_store(&editing, true);
    tell_terminal(mark_pastes, sizeof mark_pastes - 1);
}

void editing_take_keys(void)
{
    has_during = tcgetattr(STDIN_FILENO, &during) == 0;
    during.c_cc[VSUSP] = _POSIX_VDISABLE; /* Ctrl-Z arrives as a key */
    if (has_during)
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
