/* With one job no process is made: the task runs in the host. It is encoded, decoded and run by the
 * same code as in a worker, and finds the tensors of the model read-only, as a worker would. */
#include "pool/inplace.h"

#include "base/random.h"
#include "base/util.h"
#include "memory/mapping.h"
#include "memory/storage.h"
#include "pool/map_state.h"
#include "pool/pool_state.h"
#include "pool/pool_timeline.h"
#include "value/codec_encode.h"
#include "worker/task.h"
#include "worker/worker_shared.h"

/* run(task, func, model) */
static int run(lua_State *L)
{
    struct task *task = lua_touserdata(L, 1);
    task_call(L, task);
    task_encode(L, task);
    task_check(L, task);
    return 0;
}

bool inplace_run(lua_State *L, struct pool *pool, uint64_t ordinal, struct outcome *outcome,
                 struct buffer *out)
{
    /* The buffer is used again for each task. An invoker that is used inside the task finds none
     * and makes its own. */
    struct buffer bytes = pool->encoding;
    pool->encoding = (struct buffer){0};
    bytes.length = 0;
    bool sent = codec_encode(L, lua_gettop(L), 1, "task", NULL, &bytes);
    if (sent) {
        int pool_index = lua_gettop(L) - 1;
        struct task task = {.index = outcome->index,
                            .ordinal = ordinal,
                            .bytes = bytes.data,
                            .length = bytes.length,
                            .losses = mapping_losses(),
                            .out = out};
        struct random_stream stream;
        random_defer(&stream, pool->work.options.seed, ordinal, task.index);
        struct random_stream *outer = random_use(&stream);
        task_push_handler(L);
        lua_pushcfunction(L, run);
        lua_pushlightuserdata(L, &task);
        lua_getiuservalue(L, pool_index, POOL_FUNC);
        lua_getiuservalue(L, pool_index, POOL_MODEL);
        uint64_t begun = pool->trace ? clock_nanoseconds() : 0;
        write_epoch++; /* while the task runs, the tensors of the model are read-only */
        int status = lua_pcall(L, 3, 0, pool_index + 2);
        if (status != LUA_OK)
            task_fail(L, status, &task);
        write_epoch--;
        random_use(outer);
        outcome->kind = status == LUA_OK ? RESULT_VALUES : RESULT_ERROR;
        if (pool->trace)
            pool_trace_own(pool, begun, outcome->index, outcome->kind == RESULT_ERROR);
        outcome->bytes = out->data;
        outcome->length = out->length;
        pool->done++;
        if (random_drew(&stream))
            pool_log_seed(pool);
    }
    buffer_free(&pool->encoding);
    pool->encoding = bytes;
    return sent;
}
