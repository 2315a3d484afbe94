/* Lines of the Test Anything Protocol, for the tests in C: main calls these functions and returns
 * tap_done(). */
#ifndef TAP_H
#define TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static int tap_tests;
static int tap_failures;
static const char *tap_indent = ""; /* four spaces make the lines those of a subtest */

/* Prints the line of one test; returns `passed`. */
__attribute__((format(printf, 2, 3))) static inline bool tap_ok(bool passed, const char *format,
                                                                ...)
{
    va_list arguments;
    va_start(arguments, format);
    printf("%s%s %d - ", tap_indent, passed ? "ok" : "not ok", ++tap_tests);
    vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
    fflush(stdout);
    tap_failures += !passed;
    return passed;
}

/* Prints the line of a test that cannot run here, with the reason. */
static inline void tap_skip(const char *name, const char *why)
{
    printf("%sok %d - %s # SKIP %s\n", tap_indent, ++tap_tests, name, why);
    fflush(stdout);
}

/* Runs `body` in a forked process, which is killed after `seconds`; true when it returned true. */
static inline bool tap_forked(bool (*body)(void), unsigned seconds)
{
    int status;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(seconds);
        _exit(body() ? 0 : 1);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
           WEXITSTATUS(status) == 0;
}

static inline int tap_done(void)
{
    printf("%s1..%d\n", tap_indent, tap_tests);
    return tap_failures ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
