/* Opening OpenBLAS with what it reads from the environment while it loads, and only then. */
#ifndef LKRUN_BACKEND_OPEN_H
#define LKRUN_BACKEND_OPEN_H

#include <stdbool.h>

#define BACKEND_LIBRARY "libopenblas.so.0"

/* dlopen, with `threads` to start (0 or less: as many as it likes) and with kernels for this CPU;
 * NULL with dlerror. The environment is as before afterwards. Once in a process, under a lock. */
void *backend_open(int threads);

#endif
