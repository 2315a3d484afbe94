/* Who may write a tensor, and when its storage is freed: what a task sees, without a task. */
/* runs under: thread, valgrind */
#include <string.h>

#include <lua.h>
#include <lauxlib.h>
#include <lualib.h>

#include "state/host.h"
#include "../support/tap.h"
#include "memory/storage.h"
#include "tensor/tensor.h"

static const char *message(lua_State *L)
{
    const char *text = lua_tostring(L, -1);
    return text ? text : "no message";
}

/* Runs the chunk with `t`, a tensor, as its argument; NULL when it ended well, else the error. */
static const char *run(lua_State *L, const char *chunk)
{
    if (luaL_loadstring(L, chunk) != LUA_OK)
        return message(L);
    lua_getglobal(L, "t");
    return lua_pcall(L, 1, 0, 0) == LUA_OK ? NULL : message(L);
}

/* Every way to write to a tensor, and the name that its error gives. */
static const struct {
    const char *where, *chunk;
} writes[] = {
    {"tensor:set", "local t = ... t:set(1, 1, 0)"},
    {"tensor[i] = v", "local t = ... t[1] = 0"},
    {"tensor[i] = v", "local t = ... t[1][1] = 0"},
    {"tensor:set", "local t = ... t:t():set(1, 1, 0)"},
    {"tensor:fill", "local t = ... t:fill(0)"},
    {"tensor:zero", "local t = ... t:zero()"},
    {"tensor:copy", "local t = ... t:copy(t:clone())"},
    {"tensor:add", "local t = ... t:add(0)"},
    {"tensor:sub", "local t = ... t:sub(0)"},
    {"tensor:mul", "local t = ... t:mul(1)"},
    {"tensor:div", "local t = ... t:div(1)"},
    {"tensor:pow", "local t = ... t:pow(1)"},
    {"tensor:sqrt", "local t = ... t:sqrt()"},
    {"tensor:exp", "local t = ... t:exp()"},
    {"tensor:log", "local t = ... t:log()"},
    {"tensor:abs", "local t = ... t:abs()"},
    {"tensor:floor", "local t = ... t:floor()"},
    {"tensor:ceil", "local t = ... t:ceil()"},
    {"tensor:round", "local t = ... t:round()"},
    {"tensor:axpy", "local t = ... t:axpy(0, t:clone())"},
    {"tensor:addmv", "local t = ... t[1]:addmv(t:clone(), t[1]:clone())"},
    {"tensor:addmm", "local t = ... t:addmm(t:clone(), t:clone())"},
    {"tensor:mv", "local t = ... t:mv(t[1], t[2])"},
    {"tensor:mm", "local t = ... t:mm(t:clone(), t)"},
    {"tensor:index", "local t = ... t:clone():index({1, 2}, t)"},
    {"tensor:index_add", "local t = ... t:index_add({1, 2}, t:clone())"},
    {"tensor:index_copy", "local t = ... t:index_copy({1, 2}, t:clone())"},
    {"tensor:index_fill", "local t = ... t:index_fill({1}, 0)"},
    {"lk.linalg.gemv", "local t = ... lk.linalg.gemv(1, t, t[1]:clone(), 0, t[1])"},
    {"lk.linalg.gemm", "local t = ... lk.linalg.gemm(1, t, t, 0, t)"},
    {"lk.linalg.syrk", "local t = ... lk.linalg.syrk(t, t)"},
    {"lk.linalg.cholesky_solve", "local t = ... lk.linalg.cholesky_solve(t, t:clone(), true)"},
    {"lk.linalg.cholesky_solve", "local t = ... lk.linalg.cholesky_solve(t:clone(), t, true)"},
    {"lk.linalg.potrs", "local t = ... lk.linalg.potrs(t:clone(), t, true)"},
    {"sparse:mv", "local t = ... lk.sparse.csr({1}, {1}, {1}, {2, 2}):mv(t[1]:clone(), t[2])"},
    {"sparse:mm", "local t = ... lk.sparse.csr({1}, {1}, {1}, {2, 2}):mm(t:clone(), t)"},
};

static bool raises_read_only(lua_State *L, const char *where, const char *chunk, const char *why)
{
    char start[80];
    snprintf(start, sizeof start, "lkrun: %s: ", where);
    const char *error = run(L, chunk);
    bool right = error && strncmp(error, start, strlen(start)) == 0 && strstr(error, why);
    if (!right)
        printf("# %s: %s\n", chunk, error ? error : "no error");
    lua_settop(L, 0);
    return right;
}

static bool leaves_as_it_was(lua_State *L)
{
    const char *error = run(L, "local t = ... assert(t:sum() == 6 and t:get(1, 2) == 1)");
    if (error)
        printf("# %s\n", error);
    lua_settop(L, 0);
    return !error;
}

static struct storage *storage_of(lua_State *L)
{
    lua_getglobal(L, "t");
    struct storage *storage = tensor_check(L, -1)->storage;
    lua_pop(L, 1);
    return storage;
}

static void test_writes(lua_State *L)
{
    for (size_t i = 0; i < sizeof writes / sizeof *writes; i++)
        tap_ok(raises_read_only(L, writes[i].where, writes[i].chunk,
                                "read-only here; it belongs to the model: pass it in `writable`, "
                                "or write to tensor:clone()"),
               "a task that inherited the tensor cannot write it: %s", writes[i].chunk);
    tap_ok(leaves_as_it_was(L), "the tensor is as it was");
    tap_ok(run(L, "local t = ... local c = t:clone() c:fill(1); (t + 1):mul(2) t:mm(t)") == NULL,
           "what the task makes itself it may write");
    storage_of(L)->shared_writable = true;
    tap_ok(run(L, "local t = ... t:set(1, 1, 2)") == NULL,
           "a tensor named in `writable` may be written");
    storage_of(L)->shared_writable = false;
}

static void test_mapped(lua_State *L)
{
    struct storage *storage = storage_of(L);
    storage->read_only = true;
    storage->shared_writable = true;
    tap_ok(raises_read_only(L, "tensor:fill", "local t = ... t:fill(0)", "loaded from a file"),
           "a mapped file may not be written whoever asks");
    storage->read_only = storage->shared_writable = false;
}

static int released;

static void count_release(struct storage *storage)
{
    released += storage->owner == &released;
}

static void test_release(lua_State *L)
{
    static double data[6];
    struct storage *storage = storage_wrap(data, sizeof data, count_release, &released, 0);
    const int64_t size[] = {2, 3};
    tensor_view(L, storage, DTYPE_F64, 0, 2, size, NULL);
    storage_release(storage);
    lua_setglobal(L, "wrapped");
    tap_ok(luaL_dostring(L, "row = wrapped[2] wrapped = nil collectgarbage() row:fill(3)") == 0 &&
               data[3] == 3 && released == 0,
           "a view keeps the memory that somebody else has");
    tap_ok(luaL_dostring(L, "row = nil collectgarbage()") == 0 && released == 1,
           "it is given back once, with the last view");
}

static void test_finalized(lua_State *L)
{
    const char *chunk = "local tensor = lk.tensor.zeros{2}\n"
                        "setmetatable({}, {__gc = function()\n"
                        "  local ok, message = pcall(function() return tensor:sum() end)\n"
                        "  seen = ok or message:find('expected a tensor') ~= nil\n"
                        "end})\n";
    tap_ok(luaL_dostring(L, chunk) == 0 &&
               luaL_dostring(L, "collectgarbage() collectgarbage() assert(seen)") == 0,
           "a finalizer that uses a tensor collected with it sees a tensor or an error");
}

int main(void)
{
    lua_State *L = luaL_newstate();
    luaL_openlibs(L);
    host_preload(L);
    if (luaL_dostring(L, "lk = require 'lkrun' t = lk.tensor.from{{2, 1}, {1, 2}}")) {
        printf("Bail out! %s\n", message(L));
        return EXIT_FAILURE;
    }
    write_epoch++; /* as a worker does when it starts */
    test_writes(L);
    write_epoch--;
    test_mapped(L);
    test_release(L);
    test_finalized(L);
    lua_close(L);
    return tap_done();
}
