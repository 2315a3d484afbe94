/* A tensor as text: its shape and dtype, then its elements, the middle of long ones left out. */
#include "tensor_class.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "util.h"

#define EDGE      3    /* elements shown at either end of a dimension that is cut */
#define SHOWN_ALL 1000 /* a tensor of so many elements is shown whole */
#define WIDTH     32   /* characters of one element at most */

struct printer {
    const struct tensor *tensor;
    bool cut;
    int width; /* of the widest element shown */
    luaL_Buffer text;
};

static void element_text(char text[WIDTH], enum dtype dtype, const char *at)
{
    switch (dtype) {
    case DTYPE_F64:
    case DTYPE_F32:
        /* The sign of not-a-number is an accident. */
        if (isnan(scalar_to_double(dtype, at)))
            snprintf(text, WIDTH, "nan");
        else
            snprintf(text, WIDTH, "%.6g", scalar_to_double(dtype, at));
        break;
    case DTYPE_I64:
        snprintf(text, WIDTH, "%lld", (long long)*(const int64_t *)at);
        break;
    case DTYPE_I32:
        snprintf(text, WIDTH, "%d", *(const int32_t *)at);
        break;
    case DTYPE_U8:
        snprintf(text, WIDTH, "%u", *(const uint8_t *)at);
        break;
    default:
        snprintf(text, WIDTH, "%s", *(const uint8_t *)at ? "true" : "false");
    }
}

/* The index after i that is shown; the gap is skipped at once. */
static int64_t next_shown(const struct printer *printer, int d, int64_t i)
{
    int64_t size = printer->tensor->size[d];
    bool at_gap = printer->cut && size > 2 * EDGE && i + 1 == EDGE;
    return at_gap ? size - EDGE : i + 1;
}

static int64_t step_of(const struct tensor *tensor, int d)
{
    return tensor->stride[d] * (int64_t)dtype_sizes[tensor->dtype];
}

static void measure(struct printer *printer, int d, const char *at)
{
    const struct tensor *tensor = printer->tensor;
    if (d == tensor->dim) {
        char text[WIDTH];
        element_text(text, tensor->dtype, at);
        int width = (int)strlen(text);
        printer->width = width > printer->width ? width : printer->width;
        return;
    }
    for (int64_t i = 0; i < tensor->size[d]; i = next_shown(printer, d, i))
        measure(printer, d + 1, at + i * step_of(tensor, d));
}

static void add_spaces(struct printer *printer, int count)
{
    while (count-- > 0)
        luaL_addchar(&printer->text, ' ');
}

static void write_elements(struct printer *printer, int d, const char *at)
{
    const struct tensor *tensor = printer->tensor;
    if (d == tensor->dim) {
        char text[WIDTH];
        element_text(text, tensor->dtype, at);
        add_spaces(printer, tensor->dim ? printer->width - (int)strlen(text) : 0);
        luaL_addstring(&printer->text, text);
        return;
    }
    bool innermost = d == tensor->dim - 1;
    luaL_addchar(&printer->text, '[');
    for (int64_t i = 0, next; i < tensor->size[d]; i = next) {
        next = next_shown(printer, d, i);
        if (i > 0 && innermost) {
            luaL_addstring(&printer->text, ", ");
        } else if (i > 0) {
            luaL_addstring(&printer->text, ",\n");
            add_spaces(printer, d + 1);
        }
        write_elements(printer, d + 1, at + i * step_of(tensor, d));
        if (next > i + 1) {
            luaL_addstring(&printer->text, innermost ? ", ..." : ",\n");
            add_spaces(printer, innermost ? 0 : d + 1);
            luaL_addstring(&printer->text, innermost ? "" : "...");
        }
    }
    luaL_addchar(&printer->text, ']');
}

static int to_string(lua_State *L)
{
    const struct tensor *tensor = tensor_argument(L, 1, "tostring");
    struct printer printer = {.tensor = tensor, .cut = tensor->count > SHOWN_ALL};
    luaL_buffinit(L, &printer.text);
    luaL_addstring(&printer.text, "tensor ");
    luaL_addstring(&printer.text, dtype_names[tensor->dtype]);
    luaL_addchar(&printer.text, ' ');
    luaL_addstring(&printer.text, shape_text(tensor->dim, tensor->size));
    luaL_addchar(&printer.text, tensor->dim > 1 ? '\n' : ' ');
    if (tensor->count) {
        measure(&printer, 0, tensor_data(tensor));
        write_elements(&printer, 0, tensor_data(tensor));
    } else {
        luaL_addstring(&printer.text, "[]");
    }
    luaL_pushresult(&printer.text);
    return 1;
}

const luaL_Reg tensor_print_methods[] = {{"__tostring", to_string}, {NULL, NULL}};
