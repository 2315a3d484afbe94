#include "value/json_writer.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/shortest.h"
#include "tensor/tensor.h"
#include "tensor/tensor_scalar.h"
#include "value/path.h"

int json_raise_at(struct json_writer *w, int keys, const char *rest, const char *problem)
{
    char path[PATH_SIZE];
    path_write(w->L, "value", w->base + 3, 3, (size_t)keys, path);
    return raise_error(w->L, JSON_ENCODE, "%s%s: %s", path, rest, problem);
}

int json_raise_here(struct json_writer *w, const char *problem)
{
    return json_raise_at(w, w->depth, "", problem);
}

static inline char *reserve(struct json_writer *w, size_t bytes)
{
    if (!buffer_reserve(w->out, bytes))
        luaL_error(w->L, "not enough memory");
    return w->out->data + w->out->length;
}

void json_put(struct json_writer *w, const char *text, size_t length)
{
    memcpy(reserve(w, length), text, length);
    w->out->length += length;
}

static void put_byte(struct json_writer *w, char byte)
{
    json_put(w, &byte, 1);
}

void json_put_line(struct json_writer *w, int level)
{
    if (w->indent == 0)
        return;
    size_t spaces = (size_t)w->indent * (size_t)level;
    char *at = reserve(w, 1 + spaces);
    at[0] = '\n';
    memset(at + 1, ' ', spaces);
    w->out->length += 1 + spaces;
}

/* The length of the UTF-8 sequence at `at` (RFC 3629, section 4); 0 where there is none. */
static size_t utf8_length(const unsigned char *at, const unsigned char *end)
{
    unsigned char low = 0x80, high = 0xBF; /* bounds of the second byte */
    size_t length;
    if (at[0] < 0x80)
        return 1;
    if (at[0] >= 0xC2 && at[0] <= 0xDF)
        length = 2;
    else if (at[0] >= 0xE0 && at[0] <= 0xEF)
        length = 3;
    else if (at[0] >= 0xF0 && at[0] <= 0xF4)
        length = 4;
    else
        return 0;
    if ((size_t)(end - at) < length)
        return 0;
    if (at[0] == 0xE0)
        low = 0xA0;
    else if (at[0] == 0xED)
        high = 0x9F;
    else if (at[0] == 0xF0)
        low = 0x90;
    else if (at[0] == 0xF4)
        high = 0x8F;
    if (at[1] < low || at[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++)
        if (at[i] < 0x80 || at[i] > 0xBF)
            return 0;
    return length;
}

bool json_is_text(const char *bytes, size_t length)
{
    const unsigned char *at = (const unsigned char *)bytes, *end = at + length;
    while (at < end) {
        size_t sequence = utf8_length(at, end);
        if (sequence == 0)
            return false;
        at += sequence;
    }
    return true;
}

static void put_escape(struct json_writer *w, unsigned char byte)
{
    static const char names[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    for (const char *name = names; *name; name += 2)
        if ((unsigned char)*name == byte) {
            json_put(w, (char[]){'\\', name[1]}, 2);
            return;
        }
    char text[8];
    int length = snprintf(text, sizeof text, "\\u%04x", byte);
    json_put(w, text, (size_t)length);
}

void json_put_string(struct json_writer *w, const char *bytes, size_t length, const char *kind)
{
    const unsigned char *at = (const unsigned char *)bytes, *end = at + length, *plain = at;
    put_byte(w, '"');
    while (at < end) {
        if (*at >= 0x20 && *at < 0x80 && *at != '"' && *at != '\\') {
            at++;
            continue;
        }
        size_t sequence = utf8_length(at, end);
        if (sequence == 0) {
            char problem[100];
            snprintf(problem, sizeof problem, "%s that is not UTF-8 at byte %zu (0x%02X)", kind,
                     (size_t)(at - (const unsigned char *)bytes) + 1, *at);
            json_raise_here(w, problem);
        }
        if (sequence == 1 && *at != 0x7F) {
            json_put(w, (const char *)plain, (size_t)(at - plain));
            put_escape(w, *at);
            plain = at + 1;
        }
        at += sequence;
    }
    json_put(w, (const char *)plain, (size_t)(at - plain));
    put_byte(w, '"');
}

/* `single`: the number is an f32. `rest`: what its path has after the keys of the open tables. */
static void put_float(struct json_writer *w, double number, bool single, const char *rest)
{
    if (!isfinite(number))
        json_raise_at(w, w->depth, rest,
                      isnan(number) ? "NaN has no JSON" : "an infinity has no JSON");
    char text[SHORTEST_SIZE];
    size_t length = single ? shortest_f32((float)number, text) : shortest_f64(number, text);
    json_put(w, text, length);
    if (!strpbrk(text, ".e")) /* else it would be read as an integer */
        json_put(w, ".0", 2);
}

void json_put_integer(struct json_writer *w, int64_t integer)
{
    char text[24];
    int length = snprintf(text, sizeof text, "%lld", (long long)integer);
    json_put(w, text, (size_t)length);
}

static void put_element(struct json_writer *w, enum dtype dtype, const char *element,
                        const char *rest)
{
    union scalar scalar;
    memcpy(&scalar, element, dtype_sizes[dtype]);
    switch (dtype) {
    case DTYPE_F64:
        put_float(w, scalar.f64, false, rest);
        break;
    case DTYPE_F32:
        put_float(w, (double)scalar.f32, true, rest);
        break;
    case DTYPE_I64:
        json_put_integer(w, scalar.i64);
        break;
    case DTYPE_I32:
        json_put_integer(w, scalar.i32);
        break;
    case DTYPE_U8:
        json_put_integer(w, scalar.u8);
        break;
    case DTYPE_BOOL:
        json_put(w, scalar.u8 ? "true" : "false", scalar.u8 ? 4 : 5);
        break;
    case DTYPE_COUNT:
        break;
    }
}

/* Writes the elements whose first `dim` indices are fixed, from `element` on; `rest` is the path of
 * those indices. Each row is on one line. */
static void put_tensor(struct json_writer *w, const struct tensor *tensor, int dim,
                       const char *element, char *rest, size_t rest_length)
{
    if (dim == tensor->dim) {
        put_element(w, tensor->dtype, element, rest);
        return;
    }
    bool lines = dim + 1 < tensor->dim && tensor->size[dim] > 0;
    put_byte(w, '[');
    for (int64_t i = 0; i < tensor->size[dim]; i++) {
        if (i > 0)
            put_byte(w, ',');
        if (lines)
            json_put_line(w, w->depth + dim + 1);
        size_t length =
            rest_length + (size_t)sprintf(rest + rest_length, "[%lld]", (long long)i + 1);
        put_tensor(w, tensor, dim + 1, element, rest, length);
        element += tensor->stride[dim] * (int64_t)dtype_sizes[tensor->dtype];
    }
    rest[rest_length] = 0;
    if (lines)
        json_put_line(w, w->depth + dim);
    put_byte(w, ']');
}

void json_put_float(struct json_writer *w, double number)
{
    put_float(w, number, false, "");
}

void json_put_tensor(struct json_writer *w, const struct tensor *tensor)
{
    char rest[TENSOR_MAX_DIM * 24] = "";
    put_tensor(w, tensor, 0, tensor_data(tensor), rest, 0);
}
