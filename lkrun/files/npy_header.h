/* The header of a .npy file: a Python dictionary of dtype, order and shape. */
#ifndef LKRUN_NPY_HEADER_H
#define LKRUN_NPY_HEADER_H

#include <stdbool.h>
#include <stddef.h>

#include "files/stored.h"

struct npy_header {
    struct stored stored; /* with the sizes as the array has them */
    bool fortran;         /* the first index runs fastest */
};

#define NPY_MAGIC        "\x93NUMPY"
#define NPY_MAGIC_LENGTH 6
/* Magic, version, length and dictionary of any tensor. */
#define NPY_HEADER_MOST 1024

/* The dictionary between its braces and the padding behind it. False with `problem` filled in. */
bool npy_parse(const char *text, size_t length, struct npy_header *header, char *problem,
               size_t room);
/* All that comes before the data, version 1.0, as NumPy writes it; its length, a multiple of 64 and
 * then `extra` bytes, up to 63, that move the data to where they are wanted. */
size_t npy_format(const struct npy_header *header, size_t extra, char text[NPY_HEADER_MOST]);

#endif
