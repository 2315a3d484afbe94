/* Words are compared by the distance of Damerau and Levenshtein, in which no character takes part
 * in two slips (optimal string alignment). */
#include "base/nearest.h"

#include <string.h>

#include <lauxlib.h>

enum { LONGEST = 32 }; /* characters; none of our names is longer */

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

/* The number of slips from which on a name is too far from this word to be meant. */
static int too_many(const char *word)
{
    return (int)strlen(word) / 3 + 1;
}

/* The slips between the word and the name, or `most` where there are `most` or more. */
static int slips_below(const char *word, const char *name, int most)
{
    size_t m = strlen(word), n = strlen(name);
    return m > LONGEST || n > LONGEST ? most : least(most, slips(word, (int)m, name, (int)n));
}

const char *nearest_name(const char *word, const char *const *names)
{
    const char *nearest = NULL;
    int fewest = too_many(word);
    for (; *names; names++) {
        int count = slips_below(word, *names, fewest);
        if (count < fewest) {
            fewest = count;
            nearest = *names;
        }
    }
    return nearest;
}

/* The nearest of the table's string keys, or NULL. Of equally near ones it is the first in the
 * order of their bytes, because a table's keys come in no order. The string stays the table's. */
static const char *nearest_key(lua_State *L, const char *word, int table)
{
    const char *nearest = NULL;
    int fewest = too_many(word);
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
        const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : NULL;
        if (!name)
            continue;
        int count = slips_below(word, name, fewest + 1); /* + 1: equally near names compete, too */
        if (count < fewest || (nearest && count == fewest && strcmp(name, nearest) < 0)) {
            fewest = count;
            nearest = name;
        }
    }
    return nearest;
}

static const char *push_question(lua_State *L, const char *name)
{
    return name ? lua_pushfstring(L, " (did you mean '%s'?)", name) : lua_pushliteral(L, "");
}

const char *push_nearest_name(lua_State *L, const char *word, const char *const *names)
{
    return push_question(L, nearest_name(word, names));
}

const char *push_nearest_key(lua_State *L, const char *word, int table)
{
    return push_question(L, nearest_key(L, word, lua_absindex(L, table)));
}

/* nearest(word, names) → the nearest of the keys of `names`, or nil */
static int nearest(lua_State *L)
{
    const char *word = luaL_checkstring(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_pushstring(L, nearest_key(L, word, 2));
    return 1;
}

int luaopen_lkrun_core_nearest(lua_State *L);
int luaopen_lkrun_core_nearest(lua_State *L)
{
    lua_pushcfunction(L, nearest);
    return 1;
}
