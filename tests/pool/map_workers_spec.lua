-- What a map does only where it has workers. What it does in place, too, is in tests/pool/map_spec.lua.
local lk = require "lkrun"
local await = require "tests.support.await"

local function double(_, task) return 2 * task end

describe("a map over workers", function()
  it("delivers unordered results while a task before them still runs", function()
    local release = lk.tensor.zeros { 1 }
    local inv <close> = lk.invoker(nil, function(_, task)
      if task == 1 then await(function() return release:get(1) == 1 end, "the others' results") end
      return task
    end, { n_jobs = 2, ordered = false, writable = { release } })
    local order = {}
    for i in inv:map { 1, 2, 3, 4, 5, 6, 7, 8 } do
      order[#order + 1] = i
      if #order == 7 then release:set(1, 1) end
    end
    assert.equal(1, order[8])
    table.sort(order)
    assert.same({ 1, 2, 3, 4, 5, 6, 7, 8 }, order)
  end)

  it("shares what waits behind a long task with a worker that idles", function()
    local done = lk.tensor.zeros { 1, 2 }
    local inv <close> = lk.invoker(nil, function(_, task)
      -- The last tasks wait for each other: were they on one worker, none would end.
      if task > 2000 then
        done:set(1, task - 2000, 1)
        await(function() return done:get(1, 1) + done:get(1, 2) == 2 end, "the other long task")
      end
    end, { n_jobs = 2, writable = { done } })
    local tasks = {}
    for i = 1, 2002 do tasks[i] = i end
    assert.equal(2002, inv:collect(tasks).n)
  end)

  it("stops pulling while results that nobody took fill its store", function()
    local MIB = 1 << 20
    local state = lk.tensor.zeros { 2 } -- tasks ended, tasks pulled
    local inv <close> = lk.invoker(nil, function(_, task)
      if task > 1 then
        state:set(1, state:get(1) + 1)
        return ("x"):rep(MIB)
      end
      -- Waits until no more tasks have ended for 0.2 s: then the pool has stopped pulling, and waits for this one.
      local quiet_since, before = lk.clock(), -1
      await(function()
        local ended = state:get(1)
        if ended ~= before or ended < 60 then quiet_since, before = lk.clock(), ended end
        return lk.clock() - quiet_since > 0.2
      end, "the pool to stop pulling")
    end, { n_jobs = 2, writable = { state } })
    local pulled, pulled_at_first
    pulled = 0
    for i in inv:map(function()
      pulled = pulled + 1
      if pulled <= 150 then return pulled end
    end) do
      pulled_at_first = pulled_at_first or pulled
      assert.is_true(i <= 150)
    end
    assert.is_true(pulled_at_first <= 100, pulled_at_first .. " tasks of 1 MiB each")
    assert.equal(151, pulled)
  end)

  it("takes ten times more workers than there are CPUs", function()
    local n_jobs = 10 * lk.cpu_count()
    local inv <close> = lk.invoker(nil, double, { n_jobs = n_jobs })
    local tasks = {}
    for i = 1, 50 * n_jobs do tasks[i] = i end
    local results = inv:collect(tasks)
    assert.equal(#tasks, results.n)
    for i = 1, #tasks do assert.equal(2 * i, results[i]) end
    assert.equal(n_jobs, #inv:stats().workers)
  end)

  it("is collected together with its invoker, as one in place is", function()
    for _, n_jobs in ipairs { 1, 2, 4 } do
      for _ = 1, 10 do
        local inv = lk.invoker(nil, double, { n_jobs = n_jobs })
        local step = inv:map(function() return 1 end)
        assert.same({ 1, 2 }, { step() })
      end
      collectgarbage()
      collectgarbage()
    end
  end)
end)
