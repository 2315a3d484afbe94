/* Sparse matrices as SciPy stores them in .npz files. */
#ifndef LKRUN_SCIPY_H
#define LKRUN_SCIPY_H

#include <stdbool.h>
#include <lua.h>

#define SCIPY_FORMAT "format.npy" /* the entry that says which layout the matrix has */
/* Bytes of that entry at most: more than NumPy writes for a word of three letters. */
#define SCIPY_FORMAT_MOST 256

/* Reads that entry: `format` becomes "csr" … False where the entry is some other array. */
bool scipy_read_format(const char *bytes, size_t length, char format[4]);
/* The bytes of that entry for csr; valid until the thread calls this again. */
const char *scipy_csr_format(size_t *length);

/* scipy_to_sparse(arrays, format) → the matrix of a csr, csc or coo layout; raises where the arrays
 * describe none. To be called in protected mode: its errors do not name the file, which the caller
 * puts in front. */
int scipy_to_sparse(lua_State *L);
/* Pushes a table of the arrays of the matrix at `index`, all but the format. */
void scipy_push_arrays(lua_State *L, int index);

#endif
