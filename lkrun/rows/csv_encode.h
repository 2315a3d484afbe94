/* Results to the rows of a CSV file. */
#ifndef LKRUN_CSV_ENCODE_H
#define LKRUN_CSV_ENCODE_H

#include <lua.h>

/* encoder(delimiter, columns) → encode(result) → text of its rows, header; or nothing where the
 * result has no row. Where `columns` is nil, the columns are each result's keys, and `header` says
 * which they were; else `header` is nil. */
int csv_encoder(lua_State *L);
void csv_encode_open(lua_State *L); /* registers what csv_encoder needs: call it once, before */

#endif
