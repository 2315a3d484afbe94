/* Main invariant: while `editing`, `before` is the terminal's mode from before, and every way out
 * of the process that a signal can take puts it back and stops the marking of pastes. */
#include "terminal_editing.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <termios.h>
#include <unistd.h>

static const char mark_pastes[] = "\033[?2004h", leave_pastes[] = "\033[?2004l";

/* What ends a process without a word to us. */
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

/* Ends as it would have without us. Where somebody else has a handler, it stays. */
static void on_fatal(int signal_number)
{
    editing_abandon();
    for (int i = 0; i < FATAL_COUNT; i++)
        if (fatal[i] == signal_number)
            sigaction(signal_number, &displaced[i], NULL);
    raise(signal_number);
}

void editing_begin(void)
{
    struct sigaction action = {.sa_handler = on_fatal, .sa_flags = SA_NODEFER};
    if (atomic_load(&editing) || tcgetattr(STDIN_FILENO, &before) != 0)
        return;
    for (int i = 0; i < FATAL_COUNT; i++) {
        sigaction(fatal[i], NULL, &displaced[i]);
        if (displaced[i].sa_handler == SIG_DFL)
            sigaction(fatal[i], &action, NULL);
    }
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
