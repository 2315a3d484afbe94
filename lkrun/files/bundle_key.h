/* The keys of the tables that are written into a manifest. */
#ifndef LKRUN_BUNDLE_KEY_H
#define LKRUN_BUNDLE_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <lua.h>

#include "files/bundle_writer.h"

/* One key. The order of keys in a manifest is: false, true, numbers, strings, null. */
struct bundle_key {
    enum { KEY_BOOLEAN, KEY_NUMBER, KEY_STRING, KEY_NULL } rank;
    bool is_integer;
    lua_Integer integer;
    lua_Number number;
    const char *bytes; /* of the string, which the table keeps alive */
    size_t length;
};

/* How a table is written in JSON: as an array; as an object, whose keys are text; as pairs. */
enum bundle_form { FORM_ARRAY, FORM_OBJECT, FORM_PAIRS };

/* The form of the table at the top of the stack, and the number of its entries. Raises for a key
 * that can't be saved. */
enum bundle_form bundle_form_of(struct bundle_writer *w, size_t *count);
/* Pushes a block of the table's keys in order. */
struct bundle_key *bundle_push_keys(struct bundle_writer *w, size_t count);
void bundle_push_key(lua_State *L, const struct bundle_key *key);

#endif
