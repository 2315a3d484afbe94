/* Sparse matrices from triplets. */
#ifndef LKRUN_SPARSE_BUILD_H
#define LKRUN_SPARSE_BUILD_H

#include <lua.h>

/* lk.sparse.csr(rows, columns, values, {row_count, column_count}) */
int sparse_csr(lua_State *L);

#endif
