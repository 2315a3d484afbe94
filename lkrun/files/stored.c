/* From the bytes of a file to a tensor. What a file claims is believed only as far as it has bytes:
 * large storage is no more than address space until the bytes arrive, a piece at a time. */
#include "files/stored.h"

#include <stdlib.h>
#include <string.h>
#include <lauxlib.h>

#include "memory/mapping.h"
#include "memory/region.h"
#include "memory/storage.h"
#include "tensor/tensor.h"
#include "tensor/tensor_argument.h"

#define PIECE 65536 /* bytes read and converted at a time */

size_t stored_element_size(const struct stored *stored)
{
    return stored->form == STORED_AS_IS ? dtype_sizes[stored->dtype] : 2;
}

const char *stored_name(const struct stored *stored)
{
    return stored->form == STORED_F16    ? "f16"
           : stored->form == STORED_BF16 ? "bf16"
                                         : dtype_names[stored->dtype];
}

bool stored_bytes(const struct stored *stored, struct source *source, int64_t *bytes)
{
    /* Checked for elements of the largest size, so that any conversion fits too; sizes of 0 are
     * left out of the product. */
    int64_t reach = (int64_t)sizeof(double), count = 1;
    bool overflow = false;
    for (int d = 0; d < stored->dim; d++) {
        count = stored->size[d] == 0 ? 0 : count;
        overflow |= stored->size[d] < 0 ||
                    __builtin_mul_overflow(reach, stored->size[d] ? stored->size[d] : 1, &reach);
    }
    if (overflow)
        return source_fail(source, "no tensor can have its shape, %.150s",
                           shape_text(stored->dim, stored->size));
    *bytes = count ? reach / (int64_t)sizeof(double) * (int64_t)stored_element_size(stored) : 0;
    return true;
}

/* ---- Conversion of elements; in place where they keep their size ---- */

static void swap_bytes(void *bytes, size_t count, size_t element)
{
    for (size_t i = 0; i < count; i++) {
        if (element == 8)
            ((uint64_t *)bytes)[i] = __builtin_bswap64(((uint64_t *)bytes)[i]);
        else if (element == 4)
            ((uint32_t *)bytes)[i] = __builtin_bswap32(((uint32_t *)bytes)[i]);
        else
            ((uint16_t *)bytes)[i] = __builtin_bswap16(((uint16_t *)bytes)[i]);
    }
}

/* Multiplying by 2^112 changes the bias of the exponent from 15 to 127, and makes normal numbers of
 * subnormal ones. Infinity and NaN get the largest exponent instead. */
static float float_of_half(uint16_t half)
{
    uint32_t bits = (uint32_t)(half & 0x7fff) << 13;
    float number;
    if ((half & 0x7c00) == 0x7c00) {
        bits |= 0x7f800000;
    } else {
        memcpy(&number, &bits, sizeof number);
        number *= 0x1p112f;
        memcpy(&bits, &number, sizeof number);
    }
    bits |= (uint32_t)(half & 0x8000) << 16;
    memcpy(&number, &bits, sizeof number);
    return number;
}

static void widen(enum stored_form form, const uint16_t *from, size_t count, float *to)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t bits = (uint32_t)from[i] << 16;
        if (form == STORED_F16)
            to[i] = float_of_half(from[i]);
        else
            memcpy(&to[i], &bits, sizeof bits);
    }
}

/* Bools are 0 or 1 everywhere in lkrun; a file may have other bytes. */
static void normalize_bools(uint8_t *at, size_t count)
{
    for (size_t i = 0; i < count; i++)
        at[i] = at[i] != 0;
}

static bool read_elements(struct source *source, const struct stored *stored, char *to,
                          size_t count)
{
    union {
        char bytes[PIECE];
        uint16_t halves[PIECE / 2];
    } piece;
    size_t element = stored_element_size(stored);
    for (size_t done = 0, some; done < count; done += some) {
        some = count - done < PIECE / element ? count - done : PIECE / element;
        char *at = stored->form == STORED_AS_IS ? to + done * element : piece.bytes;
        if (!source_read(source, at, some * element))
            return false;
        if (stored->swapped)
            swap_bytes(at, some, element);
        if (stored->form != STORED_AS_IS)
            widen(stored->form, piece.halves, some, (float *)(void *)to + done);
        else if (stored->dtype == DTYPE_BOOL)
            normalize_bools((uint8_t *)at, some);
    }
    return true;
}

/* ---- The tensor ---- */

/* Whether the tensor can use the bytes of the mapped file. Bools cannot: whoever writes the file
 * could make them something else than 0 and 1. Small tensors are read, as a mapping costs more. */
static bool can_be_mapped(const struct source *source, const struct stored *stored, size_t bytes)
{
    return source->direct && source->mapping && bytes > REGION_THRESHOLD &&
           stored->form == STORED_AS_IS && !stored->swapped && stored->dtype != DTYPE_BOOL &&
           (uintptr_t)source->direct % dtype_sizes[stored->dtype] == 0;
}

static struct storage *make_storage(lua_State *L, struct source *source, size_t bytes)
{
    const char *error = NULL;
    if (bytes > (uint64_t)source->most_justified) {
        source_fail(source,
                    "it would become %zu bytes; expected at most %lld, as its size justifies",
                    bytes, (long long)source->most_justified);
        return NULL;
    }
    tensor_press_collector(L, bytes);
    struct storage *storage = storage_new(bytes, false, &error);
    if (!storage) {
        lua_gc(L, LUA_GCCOLLECT);
        storage = storage_new(bytes, false, &error);
    }
    if (!storage)
        source_fail(source, "no room for its %zu bytes: %s", bytes, error);
    return storage;
}

bool stored_push(lua_State *L, struct source *source, const struct stored *stored, bool copy)
{
    int64_t bytes;
    if (!stored_bytes(stored, source, &bytes))
        return false;
    size_t count = (size_t)bytes / stored_element_size(stored);
    bool done = true;
    luaL_checkstack(L, 8, NULL);
    if (!copy && bytes <= source->bytes_left && can_be_mapped(source, stored, (size_t)bytes)) {
        source->pending = mapping_storage(source->mapping, source->direct, (size_t)bytes);
        if (!source->pending)
            return source_fail(source, "out of memory");
        source_pass(source, bytes);
    } else if (source->must_map) {
        return source_fail(source, "it can't be mapped");
    } else {
        source->pending = make_storage(L, source, count * dtype_sizes[stored->dtype]);
        if (!source->pending)
            return false;
        done = read_elements(source, stored, source->pending->data, count);
        source->pending->read_only = !copy; /* as it would be in the mapped file */
    }
    if (done)
        tensor_view(L, source->pending, stored->dtype, 0, stored->dim, stored->size, NULL);
    storage_release(source->pending);
    source->pending = NULL;
    return done;
}
