/* What someone may have meant who typed a word that is nothing. */
#ifndef LKRUN_NEAREST_H
#define LKRUN_NEAREST_H

/* Of `names`, which end with a NULL, the one that the fewest slips make `word` of; NULL where it
 * takes more than one slip for every three characters. A slip is a character too many, one too few,
 * a wrong one, or two neighbours exchanged. */
const char *nearest_name(const char *word, const char *const *names);

#endif
