/* The text of scalars in a manifest, and the names of arrays. */
#ifndef LKRUN_BUNDLE_TEXT_H
#define LKRUN_BUNDLE_TEXT_H

#include <stdbool.h>

#include "files/bundle_writer.h"

/* bundle_raise_here raises `problem` with the path of the value that the keys of the open tables
 * lead to; bundle_raise_kind does so because of the type of the value at the top of the stack. */
int bundle_raise_here(struct bundle_writer *w, const char *problem);
int bundle_raise_kind(struct bundle_writer *w);

void bundle_put(struct bundle_writer *w, const char *text);
/* Writes the boolean, number, string or lk.null at this index; false, with nothing written, for any
 * other value. */
bool bundle_put_scalar(struct bundle_writer *w, int index);
/* Writes the name of the tensor at the top of the stack, which becomes an array of the archive. The
 * name ends in `part`, which part of a matrix the tensor is, unless that is "". */
void bundle_put_array(struct bundle_writer *w, const char *part);

#endif
