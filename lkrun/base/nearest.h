/* What somebody may have meant who typed a name that does not exist. */
#ifndef LKRUN_NEAREST_H
#define LKRUN_NEAREST_H

#include <lua.h>

/* The one of `names` (NULL ends them) from which the fewest slips lead to `word`; NULL where that
 * takes more than one slip for every three characters. A slip is a character too many, one too few,
 * a wrong one, or two neighbours exchanged. */
const char *nearest_name(const char *word, const char *const *names);

/* Pushes " (did you mean 'NAME'?)" with the nearest name, or "" where none is near. */
const char *push_nearest_name(lua_State *L, const char *word, const char *const *names);
/* The same with the keys of the table at this index as names. */
const char *push_nearest_key(lua_State *L, const char *word, int table);

#endif
