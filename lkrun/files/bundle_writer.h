/* What the writer of a bundle's manifest is made of: its state, the text of values that hold no
 * others, the keys of tables, the names of arrays. */
#ifndef LKRUN_BUNDLE_WRITER_H
#define LKRUN_BUNDLE_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <lua.h>

#include "base/identity.h"
#include "value/json_writer.h"

struct bundle_writer {
    lua_State *L;
    const char *path; /* of the file, for errors */
    struct json_writer json;
    struct buffer text;
    struct identity_map met; /* tables and matrices */
    bool has_map;
    uint64_t numbers;                    /* given to values that stand in several places */
    int arrays, used_names, tensor_name; /* stack indices of tables */
    lua_Integer array_count;             /* slots of `arrays` */
    int level;                           /* of JSON */
};

/* Raises for the value at the path of the open tables; _kind: for the one at the top of the stack.
 */
int bundle_raise_here(struct bundle_writer *w, const char *problem);
int bundle_raise_kind(struct bundle_writer *w);

void bundle_put(struct bundle_writer *w, const char *text);
/* A value that can be a key too; false where the one at this index is none. */
bool bundle_put_scalar(struct bundle_writer *w, int index);
/* Writes the name of the tensor at the top of the stack, which becomes an array of the archive; the
 * part of a matrix that it is, or "", is in its name. */
void bundle_put_array(struct bundle_writer *w, const char *part);

/* A key, in the order of the manifest: false, true, numbers, strings, null. */
struct bundle_key {
    enum { KEY_BOOLEAN, KEY_NUMBER, KEY_STRING, KEY_NULL } rank;
    bool is_integer;
    lua_Integer integer;
    lua_Number number;
    const char *bytes; /* of the table's own key */
    size_t length;
};

/* What a table is in JSON: a sequence; an object, by text; anything else. */
enum bundle_form { FORM_ARRAY, FORM_OBJECT, FORM_PAIRS };

/* Of the table at the top of the stack; with the number of its entries. Raises for a key that can't
 * be saved. */
enum bundle_form bundle_form_of(struct bundle_writer *w, size_t *count);
/* Pushes a block of its keys in order. */
struct bundle_key *bundle_push_keys(struct bundle_writer *w, size_t count);
void bundle_push_key(lua_State *L, const struct bundle_key *key);

#endif
