/* What the writer of JSON is made of: its state, and the text of values that hold no others. */
#ifndef LKRUN_JSON_WRITER_H
#define LKRUN_JSON_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <lua.h>

#include "tensor/tensor.h"
#include "base/util.h"

#define JSON_ENCODE "lk.json.encode" /* in errors */

struct json_writer {
    lua_State *L;
    struct buffer *out;
    int base;    /* stack slots below the first table */
    int depth;   /* tables open */
    int indent;  /* spaces a level; 0: all on one line */
    bool sorted; /* keys in order of their bytes */
};

/* Raises for the value at the path of the first `keys` open tables, `rest` being more of it; _here:
 * of all open tables. */
int json_raise_at(struct json_writer *w, int keys, const char *rest, const char *problem);
int json_raise_here(struct json_writer *w, const char *problem);

void json_put(struct json_writer *w, const char *text, size_t length);
/* Whether these bytes are UTF-8, so that they can be a JSON string. */
bool json_is_text(const char *bytes, size_t length);
/* A new line with the indentation of this level, or nothing. */
void json_put_line(struct json_writer *w, int level);
/* `kind` begins the message where the bytes are no text: "a string". */
void json_put_string(struct json_writer *w, const char *bytes, size_t length, const char *kind);
void json_put_integer(struct json_writer *w, int64_t integer);
void json_put_float(struct json_writer *w, double number);
void json_put_tensor(struct json_writer *w, const struct tensor *tensor);

#endif
