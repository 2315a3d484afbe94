-- runs under: valgrind
local lk = require "lkrun"
local await = require "tests.support.await"
local invoker_of = require "tests.support.invoker_of"

local function double(_, task) return 2 * task, "second" end

for _, n_jobs in ipairs { 1, 2, 4 } do
  local invoker = invoker_of(n_jobs)

  describe(("a submitted task, n_jobs = %d,"):format(n_jobs), function()
    it("gives what func returned, as often as it is asked", function()
      local inv <close> = invoker(double)
      local future = inv:submit(21)
      for _ = 1, 3 do assert.same({ 42, "second" }, { future:get() }) end
      assert.is_true(future:done())
    end)

    it("one of many, asked for in any order", function()
      local inv <close> = invoker(double)
      local futures = {}
      for i = 1, 500 do futures[i] = inv:submit(i) end
      for i = 500, 1, -1 do
        if futures[i]:get() ~= 2 * i then error("future " .. i) end
      end
      assert.equal(500, inv:stats().tasks)
    end)

    it("with no result, with nil, with many", function()
      local inv <close> = invoker(function(_, n) return table.unpack({ n = n }, 1, n) end)
      for _, n in ipairs { 0, 1, 3, 200 } do assert.equal(n, select("#", inv:submit(n):get())) end
    end)

    it("raises its error object, each time", function()
      local inv <close> = invoker(function(_, task) error("bad " .. task, 0) end)
      inv:submit "first"
      local future = inv:submit "apple"
      for _ = 1, 2 do
        local ok, err = pcall(future.get, future)
        assert.is_false(ok)
        assert.equal("bad apple", err.message)
        assert.equal("error", err.reason)
        assert.equal(2, err.task)
        assert.truthy(err.traceback:find "future_spec.lua")
      end
      assert.is_true(future:done())
      local value = invoker(function() error { code = 5 } end)
      local _, err = pcall(function() value:submit(1):get() end)
      assert.equal(5, err.value.code)
      value:shutdown()
    end)

    it("that cannot be sent is refused where it is submitted", function()
      local inv <close> = invoker(double)
      assert.error_matches(function() inv:submit { list = { print } } end,
        "^lkrun: task.list%[1%]: a function cannot be sent$")
      assert.error_matches(function() inv:submit(nil) end,
        "^lkrun: invoker:submit: task: nil cannot be sent; lk.null can$")
      assert.error(function() inv:submit() end)
      assert.equal(4, (inv:submit(2):get()))
    end)

    it("is a snapshot", function()
      local inv <close> = invoker(function(_, task)
        local sum = task.list[1] + task.tensor:get(1)
        task.list[1] = "changed"
        task.tensor:set(1, -1)
        return sum
      end)
      local task = { list = { 1 }, tensor = lk.tensor.ones { 20000 } }
      local future = inv:submit(task)
      task.list[1] = 100
      task.tensor:set(1, 100)
      assert.equal(2, future:get())
      assert.equal(100, task.list[1])
      assert.equal(100, task.tensor:get(1))
    end)

    it("has a result that lives as long as who holds it", function()
      local inv = invoker(function(_, n) return lk.tensor.ones { n } end)
      local small, large = inv:submit(10):get(), inv:submit(20000):get()
      local unasked = inv:submit(20000)
      await(function() return unasked:done() end, "the result")
      inv:shutdown()
      assert.equal(10, small:sum())
      assert.equal(20000, large:sum())
      assert.equal(20000, unasked:get():sum())
    end)

    it("that nobody holds any more costs nothing and disturbs nobody", function()
      local inv <close> = invoker(double)
      for i = 1, 2000 do inv:submit(i) end
      collectgarbage()
      assert.equal(6, (inv:submit(3):get()))
      collectgarbage()
      local future = inv:submit(4)
      collectgarbage()
      assert.equal(8, (future:get()))
    end)

    it("keeps its invoker alive", function()
      local future = invoker(double):submit(5)
      collectgarbage()
      collectgarbage()
      assert.equal(10, (future:get()))
    end)

    it("beside a map takes no part in its numbering", function()
      local inv <close> = invoker(double)
      local futures = {}
      local sum = 0
      for i, result in inv:map { 10, 20, 30 } do
        assert.equal(20 * i, result)
        futures[i] = inv:submit(i)
        sum = sum + result
      end
      assert.equal(120, sum)
      for i = 1, 3 do assert.equal(2 * i, (futures[i]:get())) end
    end)

    it("before a map is not lost when that ends early", function()
      local inv <close> = invoker(double)
      local before = {}
      for i = 1, 20 do before[i] = inv:submit(i) end
      for i in inv:map(function() return 1 end) do
        if i == 5 then break end
      end
      for i = 1, 20 do assert.equal(2 * i, (before[i]:get())) end
    end)

    it("without a result when the invoker is shut down says so", function()
      if n_jobs == 1 then return end -- in place a task has run when submit returns
      local inv = invoker(function() -- still runs when the invoker ends, which waits for it if it is a thread
        local finish = lk.clock() + 2
        while lk.clock() < finish do end
      end)
      local begun, waiting = inv:submit(1), {}
      for i = 1, 10 do waiting[i] = inv:submit(i) end
      inv:shutdown()
      for _, future in ipairs { begun, waiting[1], waiting[10] } do
        assert.is_true(future:done())
        assert.error_matches(function() future:get() end,
          "^lkrun: future:get: the invoker was shut down before the task had a result$")
        assert.is_false(future:cancel())
      end
      assert.error_matches(function() inv:submit(1) end, "^lkrun: invoker: it has been shut down")
    end)

    it("checks its arguments", function()
      local inv <close> = invoker(double)
      local future = inv:submit(1)
      assert.error_matches(function() future:get(-1) end, "^lkrun: future:get: timeout is %-1; expected seconds")
      assert.error_matches(function() future:get(0 / 0) end, "expected seconds, 0 or more$")
      assert.error(function() future:get "soon" end)
      assert.error(function() future.get {} end)
      assert.equal(2, (future:get(1e300)))
      assert.equal(2, (future:get(math.huge)))
    end)
  end)
end

describe("a future that a finalizer keeps", function()
  for _, n_jobs in ipairs { 1, 2 } do
    it(("has lost its result, n_jobs = %d"):format(n_jobs), function()
      local inv <close> = lk.invoker(nil, function(_, task) return task end, { n_jobs = n_jobs })
      local kept
      do
        local future = inv:submit(("x"):rep(100000))
        await(function() return future:done() end, "the result")
        setmetatable({ future = future }, { __gc = function(holder) kept = holder.future end })
      end
      await(function()
        collectgarbage()
        return kept
      end, "the finalizer")
      collectgarbage()
      assert.is_true(kept:done())
      assert.is_false(kept:cancel())
      for _ = 1, 2 do
        assert.error_matches(function() kept:get() end,
          "^lkrun: future:get: the future was collected, and its result with it$")
      end
      assert.equal(5, inv:submit(5):get())
    end)
  end
end)

describe("a submitted task at a worker", function()
  -- Tasks wait until release[1] says that they may end.
  local function waiting_invoker(n_jobs)
    local release, begun = lk.tensor.zeros { 1 }, lk.tensor.zeros { 100 }
    local inv = lk.invoker(nil, function(_, task)
      begun:set(task, 1)
      await(function() return release:get(1) == 1 end, "the release")
      return task
    end, { n_jobs = n_jobs, writable = { release, begun } })
    return inv, release, begun
  end

  it("is done when its result is there, and not before", function()
    local inv, release = waiting_invoker(2)
    local future = inv:submit(1)
    assert.is_false(future:done())
    release:set(1, 1)
    await(function() return future:done() end, "the result")
    assert.equal(1, future:get(0))
    inv:shutdown()
  end)

  it("that is not there in time can be asked for again", function()
    local inv, release = waiting_invoker(2)
    local future = inv:submit(1)
    assert.error_matches(function() future:get(0) end,
      "^lkrun: future:get: no result within 0 seconds; ask again, or wait longer$")
    local start = lk.clock()
    assert.error_matches(function() future:get(0.05) end, "no result within 0.05 seconds")
    assert.is_true(lk.clock() - start >= 0.05)
    release:set(1, 1)
    assert.equal(1, future:get(200))
    inv:shutdown()
  end)

  it("runs beside the others", function()
    local inv, release, begun = waiting_invoker(3)
    local futures = {}
    for i = 1, 3 do futures[i] = inv:submit(i) end
    await(function() return begun:sum() == 3 end, "three tasks at once")
    release:set(1, 1)
    for i = 1, 3 do assert.equal(i, futures[i]:get()) end
    inv:shutdown()
  end)

  it("is cancelled if it has not begun", function()
    local inv, release, begun = waiting_invoker(2)
    local futures = {}
    for i = 1, 10 do futures[i] = inv:submit(i) end
    await(function() return begun:sum() == 2 end, "two tasks")
    local cancelled = 0
    for i = 1, 10 do
      if begun:get(i) == 1 then
        assert.is_false(futures[i]:cancel())
      elseif i % 2 == 0 then
        assert.is_true(futures[i]:cancel())
        assert.is_true(futures[i]:cancel())
        assert.is_true(futures[i]:done())
        cancelled = cancelled + 1
        assert.error_matches(function() futures[i]:get() end, "^lkrun: future:get: the task was cancelled$")
      end
    end
    assert.is_true(cancelled >= 4)
    release:set(1, 1)
    for i = 1, 10, 2 do assert.equal(i, futures[i]:get()) end
    for i = 2, 10, 2 do assert.equal(begun:get(i) == 1, (pcall(futures[i].get, futures[i]))) end
    assert.is_false(futures[1]:cancel())
    assert.equal(10 - cancelled, begun:sum())
    inv:shutdown()
  end)

  it("is not cancelled with the map beside it", function()
    local inv, release = waiting_invoker(2)
    local futures = {}
    for i = 1, 6 do futures[i] = inv:submit(i) end
    local step, _, _, closing = inv:map { 7, 8, 9 }
    do
      local guard <close> = closing -- luacheck: ignore guard
      release:set(1, 1)
      assert.same({ 1, 7 }, { step() })
    end
    for i = 1, 6 do assert.equal(i, futures[i]:get()) end
    inv:shutdown()
  end)
end)
