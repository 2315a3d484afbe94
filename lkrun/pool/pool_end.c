#include "pool/pool_end.h"

#include <unistd.h>
#include <lauxlib.h>

#include "base/util.h"
#include "pool/map_end.h"
#include "pool/pool_life.h"
#include "pool/pool_result.h"
#include "pool/pool_state.h"
#include "pool/pool_timeline.h"
#include "screen/progress.h"

void pool_end(lua_State *L, struct pool *pool, int index)
{
    if (pool->work.owner != getpid())
        return;
    buffer_free(&pool->encoding);
    buffer_free(&pool->result);
    /* Without workers pool_stop does nothing, so what it would free is freed here. */
    if (pool->closed || !pool->started) {
        buffer_free(&pool->carried);
        if (pool->kind->forget)
            pool->kind->forget(pool);
    }
    if (pool->closed)
        return;
    pool->closed = true;
    if (pool->map)
        map_warn_unused(pool->map);
    pool_cancel_map(pool);
    pool_abandon_futures(pool, L);
    if (pool->progress && lua_getiuservalue(L, index, POOL_PROGRESS) != LUA_TUSERDATA)
        progress_free(pool->progress);
    pool->progress = NULL;
    pool_stop(pool, L);
    if (pool->trace)
        pool_trace_close(pool);
    buffer_free(&pool->carried);
    for (int value = POOL_FUNC; value <= POOL_MODEL; value++) {
        lua_pushnil(L);
        lua_setiuservalue(L, index, value);
    }
}

struct pool *pool_check(lua_State *L, int index)
{
    struct pool *pool = luaL_checkudata(L, index, POOL_CLASS);
    pool_refuse_finalizer(L);
    if (pool->end_due)
        pool_end(L, pool, index);
    if (pool->closed)
        raise_error(L, "invoker", "it has been shut down; make a new one with lk.invoker");
    pool_refuse_copy(L, pool);
    return pool;
}
