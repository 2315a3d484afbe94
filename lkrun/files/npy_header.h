/* The header of a .npy file: a Python dictionary of dtype, order and shape. */
#ifndef LKRUN_NPY_HEADER_H
#define LKRUN_NPY_HEADER_H

#include <stdbool.h>
#include <stddef.h>

#include "files/stored.h"

struct npy_header {
    struct stored stored; /* the sizes in the order of the header, in Fortran order too */
    bool fortran;         /* the first index runs fastest */
};

#define NPY_MAGIC        "\x93NUMPY"
#define NPY_MAGIC_LENGTH 6
/* Bytes that the magic, version, length and dictionary of any tensor fit in. */
#define NPY_HEADER_MOST 1024

/* Reads the dictionary and the padding behind it. False with `problem` filled in. */
bool npy_parse(const char *text, size_t length, struct npy_header *header, char *problem,
               size_t room);
/* Writes all that comes before the data, in version 1.0, as NumPy writes it. Returns its length: a
 * multiple of 64, and `extra` (up to 63) more bytes. */
size_t npy_format(const struct npy_header *header, size_t extra, char text[NPY_HEADER_MOST]);

#endif
