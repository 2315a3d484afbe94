/* The shortest text of a floating-point number: of the texts with the fewest significant digits
 * that read back as the same number, the one closest to it. It looks as printf's %g writes those
 * digits: 0.1, 100000, 1e+15, 5e-324, -0, inf, nan; with a decimal point in every locale. */
#ifndef LKRUN_SHORTEST_H
#define LKRUN_SHORTEST_H

#include <stddef.h>

#define SHORTEST_SIZE 40 /* bytes that any such text fits in */

/* Write the text, 0-terminated, and return its length. */
size_t shortest_f64(double number, char text[SHORTEST_SIZE]);
size_t shortest_f32(float number, char text[SHORTEST_SIZE]);

#endif
