/* Loading OpenBLAS, with variables that are in the environment only meanwhile. */
#ifndef LKRUN_BACKEND_OPEN_H
#define LKRUN_BACKEND_OPEN_H

#define BACKEND_LIBRARY "libopenblas.so.0"

/* dlopen of the library, so that it starts `threads` threads (0 or less: as many as it likes) and
 * takes kernels for this CPU. NULL with dlerror. Afterwards the environment is as before. To be
 * called once in a process, under a lock. */
void *backend_open(int threads);

#endif
