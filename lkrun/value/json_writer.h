/* What the writers of JSON share: their state, and the text of values that contain no others. */
#ifndef LKRUN_JSON_WRITER_H
#define LKRUN_JSON_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <lua.h>

#include "base/util.h"
#include "tensor/tensor.h"

#define JSON_ENCODE "lk.json.encode" /* what errors name */

struct json_writer {
    lua_State *L;
    struct buffer *out;
    int base;    /* stack slots below the first table */
    int depth;   /* number of tables that are open */
    int indent;  /* spaces per level; 0: everything on one line */
    bool sorted; /* keys in the order of their bytes */
};

/* Both raise `problem`, with the path of the value it is about. json_raise_at: the path of the keys
 * of the first `keys` open tables, continued by `rest`. json_raise_here: that of all open tables.
 */
int json_raise_at(struct json_writer *w, int keys, const char *rest, const char *problem);
int json_raise_here(struct json_writer *w, const char *problem);

void json_put(struct json_writer *w, const char *text, size_t length);
/* Whether these bytes are UTF-8, so that they can be a JSON string. */
bool json_is_text(const char *bytes, size_t length);
/* Begins a new line, indented to this level; writes nothing where everything is on one line. */
void json_put_line(struct json_writer *w, int level);
/* `kind` ("a string") says in the error what these bytes are, where they are not UTF-8. */
void json_put_string(struct json_writer *w, const char *bytes, size_t length, const char *kind);
void json_put_integer(struct json_writer *w, int64_t integer);
void json_put_float(struct json_writer *w, double number);
void json_put_tensor(struct json_writer *w, const struct tensor *tensor);

#endif
