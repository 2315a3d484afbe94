/* Products of two sparse matrices. */
#ifndef LKRUN_SPARSE_SPARSE_H
#define LKRUN_SPARSE_SPARSE_H

#include <lua.h>

#include "sparse/sparse.h"

/* Raises unless a has as many columns as b has rows and both have the same dtype. */
void sparse_check_factors(lua_State *L, const struct sparse *a, const struct sparse *b,
                          const char *where);
/* sparse:mm where the second factor is sparse as well */
int sparse_mm_sparse(lua_State *L);

#endif
