/* The state of writing a bundle's manifest. */
#ifndef LKRUN_BUNDLE_WRITER_H
#define LKRUN_BUNDLE_WRITER_H

#include <stdbool.h>
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
    uint64_t last_number; /* given to a value that occurs in several places */
    /* Stack indices of tables: the sequence name, tensor, name, tensor …; the last number that was
     * appended to a name (1: none yet), by name; the name of an array, by tensor. */
    int arrays, used_names, tensor_name;
    lua_Integer array_count; /* slots of `arrays` in use */
    int level;               /* of nesting in the JSON text */
};

#endif
