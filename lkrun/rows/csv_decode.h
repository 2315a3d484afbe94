/* The fields of a CSV record to a Lua table. */
#ifndef LKRUN_CSV_DECODE_H
#define LKRUN_CSV_DECODE_H

#include <lua.h>

/* decoder(delimiter, names, types) → decode(record) → row; or nil, and what is wrong with it.
 * `names` are the keys of the row, nil: 1, 2, …; `types` those of the fields: "string", "i64",
 * "f64", "bool". */
int csv_decoder(lua_State *L);

#endif
