/* Results to the rows of a .npy file. */
#ifndef LKRUN_NPY_ROWS_H
#define LKRUN_NPY_ROWS_H

#include <lua.h>

/* npy_encoder() → encode(result) → bytes of its rows, "DTYPE SIZE,SIZE…" of one of them; or nothing
 * where the result has no row. */
int npy_encoder(lua_State *L);
/* npy_header("DTYPE SIZE,SIZE…", rows) → the header of a file with so many rows. It has the same
 * length for any number of rows. */
int npy_header_text(lua_State *L);

#endif
