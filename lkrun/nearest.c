/* The distance of Damerau and Levenshtein, where no two slips touch. */
#include "nearest.h"

#include <string.h>

enum { LONGEST = 32 }; /* nothing longer is a name of ours */

static int least(int a, int b)
{
    return a < b ? a : b;
}

/* cost[i][j]: the slips between the first i characters of `a` and the first j of `b`. */
static int slips(const char *a, int m, const char *b, int n)
{
    int cost[LONGEST + 1][LONGEST + 1];
    for (int i = 0; i <= m; i++)
        cost[i][0] = i;
    for (int j = 0; j <= n; j++)
        cost[0][j] = j;
    for (int i = 1; i <= m; i++) {
        for (int j = 1; j <= n; j++) {
            int wrong = cost[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            cost[i][j] = least(wrong, 1 + least(cost[i - 1][j], cost[i][j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                cost[i][j] = least(cost[i][j], cost[i - 2][j - 2] + 1);
        }
    }
    return cost[m][n];
}

const char *nearest_name(const char *word, const char *const *names)
{
    size_t length = strlen(word);
    if (length > LONGEST)
        return NULL;
    const char *nearest = NULL;
    int fewest = (int)length / 3 + 1;
    for (; *names; names++) {
        size_t size = strlen(*names);
        if (size > LONGEST)
            continue;
        int count = slips(word, (int)length, *names, (int)size);
        if (count < fewest) {
            fewest = count;
            nearest = *names;
        }
    }
    return nearest;
}
