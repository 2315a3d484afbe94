/* One job: no process is made, the task runs here. It is encoded, decoded and run by the same code
 * as in a worker, and sees what it inherited as a worker would, read-only. */
#include "pool.h"

#include "tensor.h"

bool inplace_run(lua_State *L, struct pool *pool, uint64_t ordinal, struct outcome *outcome,
                 struct buffer *out)
{
    struct buffer bytes = pool->encoding; /* reused; submitting inside the task finds it empty */
    pool->encoding = (struct buffer){0};
    bytes.length = 0;
    bool sent = codec_encode(L, lua_gettop(L), 1, "task", NULL, &bytes);
    if (sent) {
        int pool_index = lua_gettop(L) - 1;
        struct task task = {.index = outcome->index,
                            .ordinal = ordinal,
                            .seed = pool->options.seed,
                            .bytes = bytes.data,
                            .length = bytes.length,
                            .out = out};
        lua_getiuservalue(L, pool_index, POOL_FUNC);
        lua_getiuservalue(L, pool_index, POOL_MODEL);
        task_prepare(L);
        write_epoch++;
        outcome->kind = (uint16_t)task_run(L, lua_gettop(L) - 3, &task);
        write_epoch--;
        outcome->bytes = out->data;
        outcome->length = out->length;
        pool->done++;
        if (task.drew)
            pool_log_seed(pool);
    }
    buffer_free(&pool->encoding);
    pool->encoding = bytes;
    return sent;
}
