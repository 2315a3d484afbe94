/* Hugging Face's .safetensors files: the length of the header in eight bytes, the header in JSON,
 * the data.
 *
 * Invariant: no tensor is made before the offsets of all were checked: each byte of the data
 * belongs to exactly one tensor, as the format demands. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <jansson.h>
#include <lauxlib.h>

#include "base/atomic_file.h"
#include "base/util.h"
#include "files/sink_tensor.h"
#include "files/source.h"
#include "files/stored.h"
#include "tensor/tensor.h"
#include "tensor/tensor_argument.h"

#define WHERE       "lk.load"
#define TREE_CLASS  "lkrun.safetensors.tree"
#define HEADER_MOST 100000000 /* bytes: the format's own limit */
#define METADATA    "__metadata__"

/* A tensor as the header describes it. */
struct tensor_place {
    const char *name;
    struct stored stored;
    const char *unknown_dtype; /* NULL: it is one that tensors have */
    int64_t first, end;        /* offsets in the data: of its first byte, and behind its last */
};

struct safetensors_header {
    json_t *tree;
    char *text;
    struct tensor_place *places; /* in the order of their bytes */
    size_t count;
};

static int collect_header(lua_State *L)
{
    struct safetensors_header *header = lua_touserdata(L, 1);
    json_decref(header->tree);
    free(header->text);
    free(header->places);
    *header = (struct safetensors_header){0};
    return 0;
}

static struct safetensors_header *push_header(lua_State *L)
{
    struct safetensors_header *header = lua_newuserdatauv(L, sizeof *header, 0);
    *header = (struct safetensors_header){0};
    if (luaL_newmetatable(L, TREE_CLASS)) {
        lua_pushcfunction(L, collect_header);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    return header;
}

/* ---- The header ---- */

static bool read_header(struct source *source, struct safetensors_header *header)
{
    unsigned char start[8];
    uint64_t length = 0;
    if (source->bytes_left < (int64_t)sizeof start)
        return source_fail(source, source->bytes_left ? "it is not a .safetensors file: too short"
                                                      : "it is empty");
    if (!source_read(source, start, sizeof start))
        return false;
    for (int i = 7; i >= 0; i--)
        length = length << 8 | start[i];
    if (length > (uint64_t)source->bytes_left || length > HEADER_MOST)
        return source_fail(
            source, "its header claims %llu bytes; expected at most %lld",
            (unsigned long long)length,
            (long long)(source->bytes_left < HEADER_MOST ? source->bytes_left : HEADER_MOST));
    header->text = malloc(length + 1);
    if (!header->text)
        return source_fail(source, "out of memory");
    if (!source_read(source, header->text, length))
        return false;
    json_error_t error;
    header->tree =
        json_loadb(header->text, length, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (!header->tree)
        return source_fail(source, "its header, column %d: %s", error.position, error.text);
    return json_is_object(header->tree) || source_fail(source, "its header is not an object");
}

/* Fails with a problem of this tensor, which the message names. */
static bool fail_place(struct source *source, const struct tensor_place *place, const char *problem)
{
    return source_fail(source, "tensor '%.100s': %s", place->name, problem);
}

static void take_dtype(const char *name, struct tensor_place *place)
{
    static const struct {
        const char *name;
        enum dtype dtype;
        enum stored_form form;
    } known[] = {
        {"F64", DTYPE_F64, STORED_AS_IS}, {"F32", DTYPE_F32, STORED_AS_IS},
        {"I64", DTYPE_I64, STORED_AS_IS}, {"I32", DTYPE_I32, STORED_AS_IS},
        {"U8", DTYPE_U8, STORED_AS_IS},   {"BOOL", DTYPE_BOOL, STORED_AS_IS},
        {"F16", DTYPE_F32, STORED_F16},   {"BF16", DTYPE_F32, STORED_BF16},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(name, known[i].name) == 0) {
            place->stored.dtype = known[i].dtype;
            place->stored.form = known[i].form;
            place->stored.swapped = __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__ &&
                                    stored_element_size(&place->stored) > 1;
            return;
        }
    place->unknown_dtype = name;
}

static bool take_shape(struct source *source, json_t *shape, struct tensor_place *place)
{
    char problem[80];
    size_t dim = json_array_size(shape);
    if (!json_is_array(shape))
        return fail_place(source, place, "its shape is not a list");
    if (dim > TENSOR_MAX_DIM) {
        snprintf(problem, sizeof problem, "it has %zu dimensions; expected at most %d", dim,
                 TENSOR_MAX_DIM);
        return fail_place(source, place, problem);
    }
    place->stored.dim = (int)dim;
    for (size_t d = 0; d < dim; d++) {
        json_t *size = json_array_get(shape, d);
        if (!json_is_integer(size) || json_integer_value(size) < 0)
            return fail_place(source, place, "its shape has something else than sizes");
        place->stored.size[d] = json_integer_value(size);
    }
    return true;
}

static bool take_offsets(struct source *source, json_t *offsets, struct tensor_place *place)
{
    char problem[200];
    json_t *first = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(first) || !json_is_integer(end))
        return fail_place(source, place, "its data_offsets are not two integers");
    place->first = json_integer_value(first);
    place->end = json_integer_value(end);
    if (place->first >= 0 && place->first <= place->end && place->end <= source->bytes_left)
        return true;
    snprintf(problem, sizeof problem,
             "its data_offsets are %lld and %lld; expected two within %lld bytes of data",
             (long long)place->first, (long long)place->end, (long long)source->bytes_left);
    return fail_place(source, place, problem);
}

static bool take_place(struct source *source, json_t *value, struct tensor_place *place)
{
    const char *dtype = json_string_value(json_object_get(value, "dtype"));
    json_t *shape = json_object_get(value, "shape");
    json_t *offsets = json_object_get(value, "data_offsets");
    if (!dtype || !shape || !offsets || json_object_size(value) != 3)
        return fail_place(source, place,
                          "its keys are others; expected dtype, shape and data_offsets");
    take_dtype(dtype, place);
    if (!take_shape(source, shape, place) || !take_offsets(source, offsets, place))
        return false;
    if (place->unknown_dtype) /* so the size of its elements is not known either */
        return true;
    int64_t bytes;
    char problem[sizeof source->problem];
    if (!stored_bytes(&place->stored, source, &bytes)) {
        memcpy(problem, source->problem, sizeof problem);
        return fail_place(source, place, problem);
    }
    if (bytes == place->end - place->first)
        return true;
    snprintf(problem, sizeof problem,
             "its data_offsets are %lld apart; expected %lld for %s of %.150s",
             (long long)(place->end - place->first), (long long)bytes, stored_name(&place->stored),
             shape_text(place->stored.dim, place->stored.size));
    return fail_place(source, place, problem);
}

static int compare_places(const void *left, const void *right)
{
    const struct tensor_place *a = left, *b = right;
    if (a->first != b->first)
        return a->first < b->first ? -1 : 1;
    if (a->end != b->end)
        return a->end < b->end ? -1 : 1;
    return strcmp(a->name, b->name);
}

/* Whether every byte of the data belongs to one tensor. */
static bool check_places(struct source *source, const struct safetensors_header *header)
{
    int64_t at = 0;
    for (size_t i = 0; i < header->count; i++) {
        const struct tensor_place *place = &header->places[i];
        if (place->first < at)
            return source_fail(source, "tensor '%.100s': it begins inside tensor '%.100s'",
                               place->name, place[-1].name);
        if (place->first > at)
            break;
        at = place->end;
    }
    return at == source->bytes_left ||
           source_fail(source, "bytes from %lld of the data on belong to no tensor", (long long)at);
}

static bool take_places(struct source *source, struct safetensors_header *header)
{
    size_t most = json_object_size(header->tree);
    header->places = calloc(most + 1, sizeof *header->places);
    if (!header->places)
        return source_fail(source, "out of memory");
    for (void *i = json_object_iter(header->tree); i; i = json_object_iter_next(header->tree, i)) {
        struct tensor_place *place = &header->places[header->count];
        place->name = json_object_iter_key(i);
        if (strcmp(place->name, METADATA) == 0)
            continue;
        if (!take_place(source, json_object_iter_value(i), place))
            return false;
        header->count++;
    }
    qsort(header->places, header->count, sizeof *header->places, compare_places);
    return check_places(source, header);
}

/* ---- Loading ---- */

static bool push_metadata(lua_State *L, struct source *source,
                          const struct safetensors_header *header)
{
    json_t *metadata = json_object_get(header->tree, METADATA);
    lua_newtable(L);
    if (metadata && !json_is_object(metadata))
        return source_fail(source, METADATA " is not an object");
    for (void *i = json_object_iter(metadata); i; i = json_object_iter_next(metadata, i)) {
        json_t *value = json_object_iter_value(i);
        if (!json_is_string(value))
            return source_fail(source, METADATA ": '%.100s' is not a string",
                               json_object_iter_key(i));
        lua_pushstring(L, json_object_iter_key(i));
        lua_pushlstring(L, json_string_value(value), json_string_length(value));
        lua_rawset(L, -3);
    }
    return true;
}

static bool push_tensor(lua_State *L, struct source *source, const struct tensor_place *place,
                        int64_t data, bool copy)
{
    if (place->unknown_dtype)
        return source_fail(
            source,
            "tensor '%.100s': its dtype is %.20s; expected F64, F32, I64, I32, U8, BOOL, F16 "
            "or BF16",
            place->name, place->unknown_dtype);
    source_pass(source, data + place->first - source->at);
    return stored_push(L, source, &place->stored, copy);
}

/* Pushes the tensors by name, or the one that is wanted. */
static bool push_tensors(lua_State *L, struct source *source,
                         const struct safetensors_header *header, const char *wanted, bool copy)
{
    int64_t data = source->at;
    if (!wanted)
        lua_newtable(L);
    for (size_t i = 0; i < header->count; i++) {
        const struct tensor_place *place = &header->places[i];
        if (wanted && strcmp(place->name, wanted) != 0)
            continue;
        if (!push_tensor(L, source, place, data, copy))
            return false;
        if (wanted)
            return true;
        lua_setfield(L, -2, place->name);
    }
    return !wanted || source_fail(source, "there is no tensor '%.100s'", wanted);
}

/* load(path, name, copy) → the tensors by name, or the one of this name; the metadata */
static int load(lua_State *L)
{
    const char *path = path_argument(L, 1, WHERE), *wanted = lua_tostring(L, 2);
    bool copy = lua_toboolean(L, 3);
    struct source *source = source_push(L);
    struct safetensors_header *header = push_header(L);
    bool opened = source_open(source, path);
    if (opened && !copy)
        source_map(source, path);
    if (opened && read_header(source, header) && take_places(source, header) &&
        push_tensors(L, source, header, wanted, copy) && push_metadata(L, source, header))
        return 2;
    return raise_error(L, WHERE, "%s: %s", path, source->problem);
}

/* ---- Saving ---- */

/* save(path, header, tensors): writes the text of the header and then these tensors, a sequence. */
static int save(lua_State *L)
{
    const char *path = path_argument(L, 1, "lk.save");
    size_t length;
    const char *text = luaL_checklstring(L, 2, &length);
    lua_Integer count = luaL_len(L, 3);
    unsigned char start[8];
    for (int i = 0; i < 8; i++)
        start[i] = (unsigned char)((uint64_t)length >> 8 * i);
    struct atomic_file file;
    bool done = atomic_file_open(&file, path) && atomic_file_write(&file, start, sizeof start) &&
                atomic_file_write(&file, text, length);
    for (lua_Integer i = 1; i <= count && done; i++) {
        lua_rawgeti(L, 3, i);
        done = sink_write_tensor(&file.sink, tensor_test(L, -1));
        lua_pop(L, 1);
    }
    if (!atomic_file_finish(&file, done))
        raise_error(L, "lk.save", "%s: %s", path, file.problem);
    return 0;
}

static const luaL_Reg functions[] = {{"load", load}, {"save", save}, {NULL, NULL}};

int luaopen_lkrun_core_safetensors(lua_State *L);
int luaopen_lkrun_core_safetensors(lua_State *L)
{
    luaL_newlib(L, functions);
    return 1;
}
