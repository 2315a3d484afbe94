/* The arrays by which SciPy stores a sparse matrix in an .npz file. */
#ifndef LKRUN_SCIPY_H
#define LKRUN_SCIPY_H

#include <stdbool.h>
#include <lua.h>

#define SCIPY_FORMAT "format.npy" /* the entry that says which layout it is */
/* More than NumPy writes for a word of three letters. */
#define SCIPY_FORMAT_MOST 256

/* What an entry of this name says: "csr" … in `format`; false where it is another array. */
bool scipy_read_format(const char *bytes, size_t length, char format[4]);
/* The bytes of that entry for csr. */
const char *scipy_csr_format(size_t *length);

/* scipy_to_sparse(arrays, format): the matrix of a csr, csc or coo layout; raises where the
 * arrays describe none. For a protected call, whose caller says in front which file it was. */
int scipy_to_sparse(lua_State *L);
/* Pushes a table of the arrays, but for the format, of the matrix at `index`. */
void scipy_push_arrays(lua_State *L, int index);

#endif
