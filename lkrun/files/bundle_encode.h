/* Values to the manifest of a bundle. */
#ifndef LKRUN_BUNDLE_ENCODE_H
#define LKRUN_BUNDLE_ENCODE_H

#include <lua.h>

/* Pushes the manifest of the value at `index`, and a sequence: name, tensor, name, tensor … Raises,
 * in the name of lk.save and of `path`, where something in the value can't be saved. */
void bundle_encode(lua_State *L, int index, const char *path);

#endif
