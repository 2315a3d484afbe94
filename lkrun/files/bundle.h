/* A bundle: an archive with any table of values in manifest.json, and its arrays beside it as .npy
 * files. The manifest is {"format":"lkrun bundle","version":1,"model":VALUE}. A VALUE is itself
 * where JSON has such values; everything else is an object with a key that begins with $:
 *
 *   {"$tensor":NAME}              the array in NAME.npy
 *   {"$sparse":[ROWS,COLUMNS,POINTERS,COLUMN_OF,VALUES]}
 *                                 a sparse matrix; the last three are NAMEs of arrays
 *   {"$table":[KEY,VALUE,…]}      a table that is no sequence and has other keys than text
 *   {"$float":"nan" | "inf" | "-inf" | "nan:HEX"}
 *                                 HEX: the bits of a NaN that is not the usual one
 *   {"$bytes":HEX}                a string that is not UTF-8
 *   {"$define":N,"as":VALUE}      a table or matrix that occurs in other places too, as {"$use":N}
 */
#ifndef LKRUN_BUNDLE_H
#define LKRUN_BUNDLE_H

#define BUNDLE_FORMAT   "lkrun bundle"
#define BUNDLE_VERSION  1
#define BUNDLE_MANIFEST "manifest.json"

/* How deep a manifest may nest, in levels of JSON: less than the 2048 that jansson reads. */
#define BUNDLE_MAX_DEPTH 2000

#endif
