/* The manifest of a bundle to its value. */
#ifndef LKRUN_BUNDLE_DECODE_H
#define LKRUN_BUNDLE_DECODE_H

#include <lua.h>

/* bundle_decode(manifest, arrays) → the value; `arrays` has the tensors by name. To be called in
 * protected mode: its errors do not name the file, which the caller puts in front. */
int bundle_decode(lua_State *L);

#endif
