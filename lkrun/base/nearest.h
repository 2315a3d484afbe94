/* What someone may have meant who typed a word that is nothing. */
#ifndef LKRUN_NEAREST_H
#define LKRUN_NEAREST_H

#include <lua.h>

/* Of `names`, which end with a NULL, the one that the fewest slips make `word` of; NULL where it
 * takes more than one slip for every three characters. A slip is a character too many, one too few,
 * a wrong one, or two neighbours exchanged. */
const char *nearest_name(const char *word, const char *const *names);

/* Pushes " (did you mean 'NAME'?)" with the nearest name, or "" where none is near. */
const char *push_nearest_name(lua_State *L, const char *word, const char *const *names);
/* The same of the table at this index, whose keys are the names. */
const char *push_nearest_key(lua_State *L, const char *word, int table);

#endif
