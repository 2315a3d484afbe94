/* A bundle: an archive with any table of values in manifest.json, and its arrays beside it as .npy
 * files. The manifest is {"format":"lkrun bundle","version":1,"model":VALUE}; a VALUE is the JSON
 * of what JSON has, and an object with a key that begins with $ for everything else:
 *
 *   {"$tensor":NAME}                  the array NAME.npy
 *   {"$sparse":[ROWS,COLUMNS,POINTERS,COLUMN_OF,VALUES]}   the last three as NAMEs of arrays
 *   {"$table":[KEY,VALUE,…]}          a table that is neither a sequence nor has only text as keys
 *   {"$float":"nan" | "inf" | "-inf" | "nan:HEX"}   HEX: the bits of a NaN that is not the usual
 * one
 *   {"$bytes":HEX}                    a string that is no UTF-8
 *   {"$define":N,"as":VALUE}          a table or matrix that stands in other places as {"$use":N}
 */
#ifndef LKRUN_BUNDLE_H
#define LKRUN_BUNDLE_H

#include <lua.h>

#define BUNDLE_FORMAT   "lkrun bundle"
#define BUNDLE_VERSION  1
#define BUNDLE_MANIFEST "manifest.json"

/* Tables nested in each other, in levels of JSON: what jansson reads. */
#define BUNDLE_MAX_DEPTH 2000

/* Pushes the manifest of the value at `index`, and a sequence: name, tensor, name, tensor … Raises,
 * as lk.save of `path`, where something in the value can't be saved. */
void bundle_encode(lua_State *L, int index, const char *path);

/* bundle_decode(manifest, arrays): the value; `arrays` has the tensors by name. A function for a
 * protected call: its caller says in front which file it was. */
int bundle_decode(lua_State *L);

#endif
