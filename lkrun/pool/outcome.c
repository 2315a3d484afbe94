/* Results and errors of tasks, as the Lua values that the caller gets. */
#include "pool/outcome.h"

#include "pool/map_state.h"
#include "pool/pool_dispatch.h"
#include "pool/pool_state.h"
#include "value/codec_decode.h"
#include "worker/worker_shared.h"

void outcome_make_error(lua_State *L, int pool_index, const struct outcome *outcome,
                        uint64_t delivered)
{
    lua_getiuservalue(L, pool_index, POOL_MAKE_ERROR);
    lua_insert(L, -2);
    lua_pushinteger(L, (lua_Integer)outcome->index);
    lua_pushinteger(L, outcome->worker);
    lua_pushinteger(L, (lua_Integer)delivered);
    lua_call(L, 4, 1);
}

bool outcome_push(lua_State *L, struct pool *pool, struct outcome *outcome, int *count)
{
    struct codec_port port = pool_port(pool);
    int top = lua_gettop(L);
    pool->result_segments = &outcome->segments;
    /* An error without bytes means that there was no memory. */
    *count = outcome->kind == RESULT_ERROR && outcome->length == 0
                 ? -1
                 : codec_decode(L, outcome->bytes, outcome->length, pool->in_place ? NULL : &port);
    pool->result_segments = NULL;
    if (*count >= 0 && outcome->kind == RESULT_VALUES)
        return true;
    if (*count != 1) {
        const char *why = *count < 0 && outcome->length ? lua_tostring(L, -1) : "out of memory";
        lua_createtable(L, 0, 1);
        lua_pushstring(L, why);
        lua_setfield(L, -2, "message");
        if (*count < 0 && !outcome->length) {
            lua_pushliteral(L, "memory");
            lua_setfield(L, -2, "reason");
        }
        lua_insert(L, top + 1);
        lua_settop(L, top + 1);
    }
    *count = 1;
    return false;
}
