/* The compute backend: OpenBLAS, loaded on first use, and how many threads it uses. */
#ifndef LKRUN_BACKEND_H
#define LKRUN_BACKEND_H

#include <stdbool.h>
#include <lua.h>

/* CBLAS and LAPACK by function pointer; a file that calls them says backend_load(L)->dgemm(…). */
struct backend;
const struct backend *backend_load(lua_State *L); /* raises when OpenBLAS is not found */
bool backend_is_loaded(void);

/* Threads the backend uses from now on, now if it is loaded, else when it is; -1 leaves it alone,
 * and so does the user's own OPENBLAS_NUM_THREADS, OMP_NUM_THREADS. */
void backend_set_threads(int threads);
int backend_threads(void); /* what the library says; 0 where it is not loaded */

/* Between these two a thread is inside BLAS. No fork happens meanwhile (backend_fork_lock waits):
 * OpenBLAS's fork handler would hang. A worker takes neither. */
void backend_enter(void);
void backend_leave(void);
void backend_fork_lock(void);
void backend_fork_unlock(void);
/* In a new worker: forgets the lock's state and prepares the library for one process of its own. */
void backend_enter_worker(void);

#endif
