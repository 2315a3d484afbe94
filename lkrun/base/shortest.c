/* Why the digits are the fewest: a decimal of up to 15 digits (6 for f32) that reads back as a
 * given normal number is what that number is printed as with 15 digits, zeros at the end left out;
 * so only more digits than that have to be tried. A subnormal number is less precise, so every
 * count of digits is tried.
 *
 * Why the text is the closest: printf rounds to the nearest decimal, and if that does not read
 * back, no other of as many digits does. There is one exception: the numbers that round to a power
 * of two reach twice as far above it as below. There, where the nearest decimal lies below the
 * power and too far away, the next one above may still be close enough. */
#include "base/shortest.h"

#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct format {
    int exact_digits; /* a decimal of so many digits survives being read and printed */
    double smallest_normal;
    bool single;
};

static const struct format f64 = {DBL_DIG, DBL_MIN, false};
static const struct format f32 = {FLT_DIG, FLT_MIN, true};

static bool reads_back(const char *text, double number, const struct format *format)
{
    return format->single ? strtof(text, NULL) == (float)number : strtod(text, NULL) == number;
}

static bool is_power_of_two(double number)
{
    int exponent;
    return fabs(frexp(number, &exponent)) == 0.5;
}

/* Writes the decimal of `digits` digits that comes after the nearest one, away from 0, and says
 * whether the number reads back from it. A decimal that ends in 9 is not tried: the next one has
 * fewer digits, and was tried before. */
static bool print_next(char *text, double number, int digits, const struct format *format)
{
    snprintf(text, SHORTEST_SIZE, "%#.*g", digits, number); /* #: with the zeros at the end */
    char *last = text + strcspn(text, "e") - 1;
    if (*last < '0' || *last > '8')
        return false;
    ++*last;
    return reads_back(text, number, format);
}

/* Replaces the decimal point of the program's locale, which printf wrote, by ".". */
static void use_point(char *text)
{
    const char *point = localeconv()->decimal_point;
    if (strcmp(point, ".") == 0)
        return;
    char *at = strstr(text, point);
    if (!at)
        return;
    size_t length = strlen(point);
    *at = '.';
    memmove(at + 1, at + length, strlen(at + length) + 1);
}

static size_t print(char *text, double number, const struct format *format)
{
    bool is_normal = fabs(number) >= format->smallest_normal;
    bool is_power = is_normal && is_power_of_two(number);
    int digits = is_normal ? format->exact_digits : 1;
    for (; digits <= DBL_DECIMAL_DIG; digits++) { /* with that many every number reads back */
        snprintf(text, SHORTEST_SIZE, "%.*g", digits, number);
        if (isnan(number) || reads_back(text, number, format) ||
            (is_power && print_next(text, number, digits, format)))
            break;
    }
    use_point(text);
    return strlen(text);
}

size_t shortest_f64(double number, char text[SHORTEST_SIZE])
{
    return print(text, number, &f64);
}

size_t shortest_f32(float number, char text[SHORTEST_SIZE])
{
    return print(text, (double)number, &f32);
}
