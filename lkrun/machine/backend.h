/* The compute backend: OpenBLAS, loaded on first use, and how many threads it uses. */
#ifndef LKRUN_BACKEND_H
#define LKRUN_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <lua.h>

enum cblas_order { CBLAS_ROW_MAJOR = 101, CBLAS_COL_MAJOR = 102 };
enum cblas_transpose { CBLAS_NO_TRANS = 111, CBLAS_TRANS = 112 };
enum cblas_uplo { CBLAS_UPPER = 121, CBLAS_LOWER = 122 };
enum cblas_diagonal { CBLAS_NON_UNIT = 131, CBLAS_UNIT = 132 };
enum cblas_side { CBLAS_LEFT = 141, CBLAS_RIGHT = 142 };

/* CBLAS by its own names without `cblas_`; LAPACK by its own without the trailing underscore,
 * column major, with the length of each string argument (1) at the end, as Fortran passes it.
 * Counts and increments are 32-bit: the caller sees to it that its sizes fit. */
struct backend {
    void (*dgemv)(enum cblas_order, enum cblas_transpose, int m, int n, double alpha,
                  const double *a, int lda, const double *x, int incx, double beta, double *y,
                  int incy);
    void (*sgemv)(enum cblas_order, enum cblas_transpose, int m, int n, float alpha, const float *a,
                  int lda, const float *x, int incx, float beta, float *y, int incy);
    void (*dgemm)(enum cblas_order, enum cblas_transpose a_is, enum cblas_transpose b_is, int m,
                  int n, int k, double alpha, const double *a, int lda, const double *b, int ldb,
                  double beta, double *c, int ldc);
    void (*sgemm)(enum cblas_order, enum cblas_transpose a_is, enum cblas_transpose b_is, int m,
                  int n, int k, float alpha, const float *a, int lda, const float *b, int ldb,
                  float beta, float *c, int ldc);
    double (*ddot)(int n, const double *x, int incx, const double *y, int incy);
    float (*sdot)(int n, const float *x, int incx, const float *y, int incy);
    void (*daxpy)(int n, double alpha, const double *x, int incx, double *y, int incy);
    void (*saxpy)(int n, float alpha, const float *x, int incx, float *y, int incy);
    void (*dscal)(int n, double alpha, double *x, int incx);
    void (*sscal)(int n, float alpha, float *x, int incx);
    double (*dnrm2)(int n, const double *x, int incx);
    float (*snrm2)(int n, const float *x, int incx);
    void (*dsyrk)(enum cblas_order, enum cblas_uplo, enum cblas_transpose, int n, int k,
                  double alpha, const double *a, int lda, double beta, double *c, int ldc);
    void (*ssyrk)(enum cblas_order, enum cblas_uplo, enum cblas_transpose, int n, int k,
                  float alpha, const float *a, int lda, float beta, float *c, int ldc);
    void (*dtrsm)(enum cblas_order, enum cblas_side, enum cblas_uplo, enum cblas_transpose,
                  enum cblas_diagonal, int m, int n, double alpha, const double *a, int lda,
                  double *b, int ldb);
    void (*strsm)(enum cblas_order, enum cblas_side, enum cblas_uplo, enum cblas_transpose,
                  enum cblas_diagonal, int m, int n, float alpha, const float *a, int lda, float *b,
                  int ldb);
    void (*dger)(enum cblas_order, int m, int n, double alpha, const double *x, int incx,
                 const double *y, int incy, double *a, int lda);
    void (*sger)(enum cblas_order, int m, int n, float alpha, const float *x, int incx,
                 const float *y, int incy, float *a, int lda);

    void (*dpotrf)(const char *uplo, const int *n, double *a, const int *lda, int *info,
                   size_t uplo_length);
    void (*spotrf)(const char *uplo, const int *n, float *a, const int *lda, int *info,
                   size_t uplo_length);
    void (*dpotrs)(const char *uplo, const int *n, const int *nrhs, const double *a, const int *lda,
                   double *b, const int *ldb, int *info, size_t uplo_length);
    void (*spotrs)(const char *uplo, const int *n, const int *nrhs, const float *a, const int *lda,
                   float *b, const int *ldb, int *info, size_t uplo_length);
    void (*dposv)(const char *uplo, const int *n, const int *nrhs, double *a, const int *lda,
                  double *b, const int *ldb, int *info, size_t uplo_length);
    void (*sposv)(const char *uplo, const int *n, const int *nrhs, float *a, const int *lda,
                  float *b, const int *ldb, int *info, size_t uplo_length);

    void (*set_num_threads)(int threads);
    int (*get_num_threads)(void);
    char *(*get_config)(void);
    int (*get_parallel)(void); /* 0: one thread only, 1: pthreads, 2: OpenMP */
};

/* The library, loaded if it is not yet, with the count of threads set for this thread; raises when
 * OpenBLAS is not found. Cheap once it is loaded: call backend_load(L)->dgemm(…) each time. */
const struct backend *backend_load(lua_State *L);
bool backend_is_loaded(void);

/* Sets how many threads the backend uses: at once if it is loaded, else when it is. -1 leaves it
 * alone. Where the user set OPENBLAS_NUM_THREADS or the like, that holds instead. */
void backend_set_threads(int threads);
int backend_threads(void); /* what the library says; 0: it is not loaded */

/* Between backend_enter and backend_leave a thread is inside BLAS; the calls nest. No fork happens
 * meanwhile, in which OpenBLAS's fork handler would hang: backend_fork_lock waits until no thread
 * is inside, and lets none enter before backend_fork_unlock. The thread that calls
 * backend_fork_lock must not be inside itself. */
void backend_enter(void);
void backend_leave(void);
void backend_fork_lock(void);
void backend_fork_unlock(void);
/* In a new worker: no thread is inside, the lock is free, and from now on the library is used in a
 * way that works in a forked process. */
void backend_enter_worker(void);

#endif
