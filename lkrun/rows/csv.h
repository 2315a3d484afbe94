/* Rows as Lua values ↔ the bytes that a file has of them. */
#ifndef LKRUN_CSV_H
#define LKRUN_CSV_H

#include <lua.h>

/* decoder(delimiter, names, types) → decode(record) → row; or nil, what is wrong with it.
 * names: the keys of the row, nil: 1, 2, …; types: of the fields, "string" "i64" "f64" "bool". */
int csv_decoder(lua_State *L);

/* encoder(delimiter, columns) → encode(result) → text of its rows, header; or nothing where the
 * result has no row. columns nil: each result's keys, and `header` says which they were; else nil.
 */
int csv_encoder(lua_State *L);

/* npy_encoder() → encode(result) → bytes of its rows, "DTYPE SIZE SIZE …" of one of them. */
int npy_encoder(lua_State *L);
/* npy_header("DTYPE SIZE …", rows) → all that comes before so many rows; as long for any number. */
int npy_header_text(lua_State *L);

/* Raises this text as it is, for a caller that says where: formats as lua_pushfstring. */
int rows_raise(lua_State *L, const char *format, ...);

void csv_register(lua_State *L);

#endif
