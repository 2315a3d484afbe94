local lk = require "lkrun"
local await = require "tests.support.await"
local processes = require "tests.support.processes"
local program = require "tests.support.program"

local function double(_, task) return 2 * task end

-- A short map may be over before the last worker is forked.
local function await_children(of, count)
  await(function() return #processes.children(of) == count end, count .. " processes")
end

describe("lk.invoker", function()
  it("checks what it is given before it makes anything", function()
    local function refused(message, ...)
      local arguments = table.pack(...)
      local ok, err = pcall(function() return lk.invoker(table.unpack(arguments, 1, arguments.n)) end)
      assert.is_false(ok)
      assert.equal("lkrun: lk.invoker: " .. message, err)
    end
    refused("func is nil; expected a function of model and task")
    refused("func is a string; expected a function of model and task", nil, "print")
    refused("func is a table; expected a function of model and task", nil, {})
    refused("the options are a number; expected a table", nil, double, 4)
    refused("unknown option 'jobs'; there are memory_limit, n_jobs, on_error, ordered, progress, retries, seed, "
      .. "timeout, trace, worker, workers, writable", nil, double, { jobs = 4 })
    refused("unknown option 'n_job' (did you mean 'n_jobs'?); there are memory_limit, n_jobs, on_error, ordered, "
      .. "progress, retries, seed, timeout, trace, worker, workers, writable", nil, double, { n_job = 2 })
    refused("unknown option [1]; there are memory_limit, n_jobs, on_error, ordered, progress, retries, seed, "
      .. "timeout, trace, worker, workers, writable", nil, double, { "n_jobs" })
    local integers = "expected an integer from 1 to 4096"
    for _, value in ipairs { 0, -1, 4097, 1.5, math.huge } do
      refused(("n_jobs is %s; %s"):format(value, integers), nil, double, { n_jobs = value })
    end
    refused("n_jobs is 'two'; " .. integers, nil, double, { n_jobs = "two" })
    refused("ordered is 'no'; expected a boolean", nil, double, { ordered = "no" })
    refused("on_error is 'ignore'; expected 'raise' or 'return'", nil, double, { on_error = "ignore" })
    refused("retries is -1; expected an integer from 0 to 1000000", nil, double, { retries = -1 })
    refused("timeout is 0; expected seconds, more than 0", nil, double, { timeout = 0 })
    refused("timeout is inf; expected seconds, more than 0", nil, double, { timeout = math.huge })
    refused("seed is 1.5; expected an integer", nil, double, { seed = 1.5 })
    refused("memory_limit is '1G'; expected bytes, 1048576 (1 MiB) or more", nil, double, { memory_limit = "1G" })
    refused("progress is 5; expected true, or a display from lk.invoke_progress", nil, double, { progress = 5 })
    refused("progress is a table; expected true, or a display from lk.invoke_progress", nil, double, { progress = {} })
    assert.error_matches(function()
      lk.invoker(nil, double, { n_jobs = 2, writable = { lk.tensor.ones { 2 }, "x" } })
    end, "^lkrun: lk.invoker: writable%[2%]: a string was found; expected a tensor$")
    assert.error_matches(function() lk.invoker(nil, double, { n_jobs = 2, worker = { thread = 1 } }) end, "thread")
    assert.error_matches(function() lk.invoker(nil, double, { n_jobs = 2, worker = { threads = 0 } }) end, "threads")
    assert.same({}, processes.children(processes.own()))
  end)

  it("takes whole numbers that are floats", function()
    local inv <close> = lk.invoker(nil, double, { n_jobs = 2.0, seed = 7.0, retries = 1.0 })
    assert.equal(2, inv:stats().n_jobs)
    assert.equal("integer", math.type(inv:stats().seed))
    assert.equal(4, inv:collect { 2 }[1])
  end)

  it("uses as many jobs as there are processes, one of them in place", function()
    local code = [[
      local lk = require "lkrun"
      local inv <close> = lk.invoker(nil, function() return io.open "/proc/self/stat":read "a":match "^%d+" end)
      local pids, count = {}, 0
      for _, pid in inv:map { 1, 2, 3, 4, 5, 6, 7, 8 } do pids[pid] = true end
      print(lk.proc_count(), inv:stats().n_jobs, #inv:stats().workers,
        pids[io.open "/proc/self/stat":read "a":match "^%d+"])]]
    assert.equal("1\t1\t0\ttrue\n", program.output(code, { env = { LK_NUM_PROCS = "1" } }))
    assert.equal("3\t3\t3\tnil\n", program.output(code, { env = { LK_NUM_PROCS = "3" } }))
  end)

  it("is shut down at the end of its scope, on collection, and when told, once or often", function()
    local own = processes.own()
    local kept
    do
      local inv <close> = lk.invoker(nil, double, { n_jobs = 2 })
      inv:collect { 1, 2, 3 }
      await_children(own, 3) -- two workers and their template
      kept = inv
    end
    assert.same({}, processes.children(own))
    kept:shutdown()
    kept:shutdown()
    for _, name in ipairs { "map", "collect", "submit", "stats" } do
      assert.error_matches(function() kept[name](kept, {}) end,
        "^lkrun: invoker: it has been shut down; make a new one with lk.invoker$")
    end
    local dropped = lk.invoker(nil, double, { n_jobs = 2 })
    dropped:collect { 1, 2, 3 }
    await_children(own, 3) -- makes so much garbage that an invoker which nobody held would be collected
    assert.equal(2, dropped:stats().n_jobs)
    dropped = nil -- luacheck: ignore dropped
    collectgarbage()
    collectgarbage()
    assert.same({}, processes.children(own))
  end)

  it("that never got a task is shut down as well", function()
    for _ = 1, 5 do
      local inv = lk.invoker(nil, double, { n_jobs = 4 })
      inv:shutdown()
    end
    assert.same({}, processes.children(processes.own()))
  end)

  it("gives the collector's mode back", function()
    local before = collectgarbage "incremental"
    local first = lk.invoker(nil, double, { n_jobs = 2 })
    local second = lk.invoker(nil, double, { n_jobs = 2 })
    first:collect { 1 }
    first:shutdown()
    second:shutdown()
    assert.equal("incremental", collectgarbage "generational")
    lk.invoker(nil, double, { n_jobs = 2 }):shutdown()
    assert.equal("generational", collectgarbage "incremental")
    collectgarbage(before)
  end)

  it("works beside another one, step by step", function()
    local one <close> = lk.invoker({ factor = 2 }, function(m, task) return m.factor * task end, { n_jobs = 2 })
    local two <close> = lk.invoker({ factor = 3 }, function(m, task) return m.factor * task end, { n_jobs = 2 })
    local tasks = {}
    for i = 1, 300 do tasks[i] = i end
    local step = two:map(tasks)
    for i, result in one:map(tasks) do
      assert.same({ 2 * i, i, 3 * i }, { result, step() })
    end
    assert.is_nil(step())
  end)

  it("outlives another one made before or after it", function()
    local one = lk.invoker(nil, double, { n_jobs = 2 })
    local two = lk.invoker(nil, double, { n_jobs = 2 })
    one:shutdown()
    assert.equal(4, two:collect { 2 }[1])
    one = lk.invoker(nil, double, { n_jobs = 2 })
    two:shutdown()
    assert.equal(4, one:collect { 2 }[1])
    one:shutdown()
  end)

  it("in a worker works in place, or with workers of its own when told a number", function()
    local outer <close> = lk.invoker(nil, function(_, task)
      local inner <close> = lk.invoker(task, function(model, i) return model * i end)
      local own <close> = lk.invoker(task, function(model, i)
        return model * i, processes.own()
      end, { n_jobs = 2 })
      local sum, pids = 0, {}
      for _, result in inner:map { 1, 2, 3 } do sum = sum + result end
      for _, result, pid in own:map { 1, 2, 3 } do
        sum = sum + result
        pids[pid] = true
      end
      local me = processes.own()
      await_children(me, 3)
      return sum, inner:stats().n_jobs, #inner:stats().workers, pids[me] == nil
    end, { n_jobs = 2 })
    for i, sum, jobs, workers, elsewhere in outer:map { 1, 2, 3, 4 } do
      assert.same({ 12 * i, 1, 0, true }, { sum, jobs, workers, elsewhere })
    end
  end)

  it("belongs to the process that made it", function()
    local inner <close> = lk.invoker(nil, double, { n_jobs = 2 })
    local outer <close> = lk.invoker(nil, function(_, task) return inner:collect { task }[1] end,
      { n_jobs = 2, on_error = "return" })
    assert.truthy(outer:collect { 1 }.errors[1].message:find
      "^lkrun: invoker: it belongs to the process that made it; a task makes its own with lk.invoker$")
    assert.equal(4, inner:collect { 2 }[1])
  end)

  it("knows what its model holds when it is made", function()
    local model = { list = { 1 } }
    local captured = { 10 }
    local inv <close> = lk.invoker(model, function(m) return m.list[1] + captured[1] end, { n_jobs = 2 })
    model.list[1], captured[1] = 2, 20
    assert.equal(11, inv:collect { 1 }[1])
    local again <close> = lk.invoker(model, function(m) return m.list[1] + captured[1] end, { n_jobs = 2 })
    assert.equal(22, again:collect { 1 }[1])
  end)

  it("takes a model of any kind, nil included", function()
    for _, model in ipairs { 5, "text", true, print, {}, io.stdout } do
      local inv <close> = lk.invoker(model, function(m) return type(m), m == model end, { n_jobs = 2 })
      for _, kind, same in inv:map { 1 } do assert.same({ type(model), true }, { kind, same }) end
    end
    local inv <close> = lk.invoker(nil, function(m) return m == nil end, { n_jobs = 2 })
    assert.is_true(inv:collect { 1 }[1])
  end)
end)

for _, n_jobs in ipairs { 1, 2, 4 } do
  describe(("an invoker, n_jobs = %d,"):format(n_jobs), function()
    it("copies what tasks and results hold", function()
      local shared = { 1 }
      local inv <close> = lk.invoker({ shared = shared }, function(model, task)
        task.list[1] = task.list[1] + 1
        return task, model.shared
      end, { n_jobs = n_jobs })
      local task = { list = { 1 }, again = false }
      task.again = task.list
      for _, result, model_shared in inv:map { task, task } do
        assert.are_not.equal(task, result)
        assert.equal(2, result.list[1])
        assert.equal(result.list, result.again)
        assert.are_not.equal(shared, model_shared)
        model_shared[1] = "changed"
      end
      assert.equal(1, task.list[1])
      assert.equal(1, shared[1])
    end)

    it("keeps the model's tensors from being written, where they are views and upvalues too", function()
      local tensor, captured, large = lk.tensor.ones { 3 }, lk.tensor.ones { 3 }, lk.tensor.ones { 100, 200 }
      local inv <close> = lk.invoker({ deep = { tensor = tensor, large = large } }, function(model, task)
        if task == 1 then model.deep.tensor:set(1, 5) end
        if task == 2 then captured:set(1, 5) end
        if task == 3 then model.deep.large:select(1, 7):set(1, 5) end
        if task == 4 then model.deep.large:axpy(2, model.deep.large) end
        if task == 5 then model.deep.tensor:clone():set(1, 5) end
        local own = lk.tensor.zeros { 20000 }
        own:set(3, 1)
        return own:sum() + model.deep.tensor:sum()
      end, { n_jobs = n_jobs, on_error = "return" })
      local results = inv:collect { 1, 2, 3, 4, 5, 6 }
      for i = 1, 4 do
        assert.truthy(results.errors[i], "task " .. i)
        assert.truthy(results.errors[i].message:find "read%-only", results.errors[i].message)
      end
      assert.same({ 4, 4 }, { results[5], results[6] })
      assert.same({ 3, 3, 20000 }, { tensor:sum(), captured:sum(), large:sum() })
      tensor:set(1, 7) -- in the host they are not read-only
      large:set(1, 1, 7)
    end)

    it("lets writable tensors be written, and shares what is written", function()
      local small, large, other = lk.tensor.zeros { 8 }, lk.tensor.zeros { 100, 200 }, lk.tensor.zeros { 8 }
      local view = large:select(1, 3)
      local inv <close> = lk.invoker({ small = small, large = large, other = other }, function(model, task)
        if task == "other" then model.other:set(1, 1) end
        if task == "read" then return model.small:get(8) + model.large:get(100, 200) end
        model.small:set(task, task)
        model.large:set(3, task, task)
      end, { n_jobs = n_jobs, writable = { small, view } })
      inv:collect { 1, 2, 3, 4, 5 }
      assert.equal(15, small:sum())
      assert.equal(15, large:sum())
      assert.equal(15, view:sum())
      small:set(8, 100)
      large:set(100, 200, 1000)
      assert.equal(1100, inv:collect { "read" }[1])
      assert.error_matches(function() inv:collect { "other" } end, "read%-only")
      inv:shutdown()
      assert.equal(115, small:sum())
      small:set(1, 0)
    end)

    it("gives tasks tensors of their own", function()
      for _, length in ipairs { 4, 20000 } do
        local inv <close> = lk.invoker(nil, function(_, task)
          task:set(1, task:get(1) + 1)
          return task
        end, { n_jobs = n_jobs })
        local tensor = lk.tensor.ones { length }
        for _, result in inv:map { tensor, tensor, tensor } do
          assert.same({ 2, length + 1 }, { result:get(1), result:sum() })
          result:set(1, 9)
        end
        assert.equal(length, tensor:sum())
      end
    end)

    it("counts what it did", function()
      local inv <close> = lk.invoker(nil, function(_, task)
        local finish = lk.clock() + 1e-3
        while lk.clock() < finish do end
        return task
      end, { n_jobs = n_jobs, seed = 99 })
      inv:collect { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 }
      local count = 10 + processes.await_workers(inv)
      local stats = inv:stats()
      assert.same({ count, 0, 0, n_jobs, 99 }, { stats.tasks, stats.crashes, stats.retries, stats.n_jobs, stats.seed })
      if n_jobs == 1 then
        assert.same({}, stats.workers)
      else
        assert.is_true(stats.bytes_sent > 0 and stats.bytes_received > 0)
        local tasks, busy = 0, 0
        for _, worker in ipairs(stats.workers) do
          assert.is_true(processes.runs(worker.pid))
          tasks = tasks + worker.tasks
          busy = busy + worker.busy
        end
        assert.equal(count, tasks)
        assert.is_true(busy >= 0.001 * count, busy .. " s")
      end
    end)

    it("moves the display it is given", function()
      local out, err = program.output(([[
        local lk = require "lkrun"
        local display <close> = lk.invoke_progress { label = "work", total = 20 }
        local inv <close> = lk.invoker(nil, function() end, { n_jobs = %d, progress = display })
        local tasks = {}
        for i = 1, 20 do tasks[i] = i end
        inv:collect(tasks)
        print(display.finished, display.in_progress, display.dispatched)
      ]]):format(n_jobs), { env = { LK_PROGRESS = "none" } })
      assert.same({ "20\t0\t0\n", "" }, { out, err })
    end)

    it("makes a display of its own", function()
      local _, err = program.output(([[
        local lk = require "lkrun"
        local inv <close> = lk.invoker(nil, function() end, { n_jobs = %d, progress = true })
        inv:collect { 1, 2, 3 }
      ]]):format(n_jobs), { env = { LK_PROGRESS = "json" } })
      local last
      for line in err:gmatch "[^\n]+" do last = lk.json.decode(line) end
      assert.same({ 3, 3, true }, { last.total, last.finished, last.ended })
    end)

    it("multiplies a matrix of 1000 x 1000 with 100 vectors as the program itself would", function()
      local matrix = lk.tensor.randn { 1000, 1000 }
      local vectors, expected = {}, {}
      for i = 1, 100 do
        vectors[i] = lk.tensor.randn { 1000 }
        expected[i] = matrix:mv(vectors[i])
      end
      local function compare(options)
        local count = 0
        for i, product in lk.map(matrix, function(m, v) return m:mv(v) end, vectors, options) do
          count = count + 1
          product:axpy(-1, expected[i])
          if product:dot(product) > 1e-12 * 1000 then error("product " .. i) end
          for k = 1, 1000, 37 do
            if math.abs(product:get(k)) > 1e-6 then error(("product %d differs at %d"):format(i, k)) end
          end
        end
        assert.equal(100, count)
      end
      compare { n_jobs = n_jobs }
      if n_jobs == 1 then compare() end
    end)
  end)
end

describe("lk.map", function()
  it("is a map that cleans up after itself", function()
    local own = processes.own()
    for _, n_jobs in ipairs { 1, 2 } do
      local sum = 0
      for i, result in lk.map({ factor = 3 }, function(m, task) return m.factor * task end, { 1, 2, 3 },
        { n_jobs = n_jobs }) do
        await_children(own, n_jobs == 1 and 0 or n_jobs + 1)
        sum = sum + i * result
      end
      assert.equal(3 + 12 + 27, sum)
      assert.same({}, processes.children(own))
      for i in lk.map(nil, double, function() return 1 end, { n_jobs = n_jobs }) do
        if i == 3 then break end
      end
      assert.same({}, processes.children(own))
      assert.error(function()
        for _ in lk.map(nil, double, { 1, {} }, { n_jobs = n_jobs }) do end
      end)
      assert.same({}, processes.children(own))
    end
  end)

  it("leaves nothing when its tasks are none", function()
    assert.error_matches(function() lk.map(nil, double, 5, { n_jobs = 2 }) end, "tasks are a number")
    assert.same({}, processes.children(processes.own()))
  end)

  it("takes an iterator, chunks, and options", function()
    local seen = 0
    local function last(_, chunk) return chunk[2] end
    for _, result in lk.map(nil, last, lk.WorkChunks.create(250), { n_jobs = 2, ordered = false }) do
      seen = seen + result
    end
    assert.equal(100 + 200 + 250, seen)
    assert.error_matches(function() lk.map(nil, double, {}, { njobs = 2 }) end, "lk.map: unknown option 'njobs'")
    assert.error_matches(function() lk.map(nil, double, ipairs { 1, 2 }) end, "tasks are one value here")
  end)
end)

describe("an invoker with a limit, where the configuration says one process", function()
  local function reasons(where)
    return program.output(([[
      local lk = require "lkrun"
      local function endless()
        local inv <close> = lk.invoker(nil, function() while true do end end, { timeout = 0.5, on_error = "return" })
        for _, _, err in inv:map { 1 } do return err.reason end
      end
      %s]]):format(where), { before = "env LK_NUM_PROCS=1" })
  end

  it("has a worker that can be ended", function()
    assert.equal("timeout\n", reasons "print(endless())")
  end)

  it("tells that it has none where n_jobs = 1 says so", function()
    local result = program.run [[
      local inv <close> = require "lkrun".invoker(nil, print, { timeout = 1, n_jobs = 1 })]]
    assert.truthy(result.err:find("timeout and memory_limit have no effect: they need a worker process, and "
      .. "n_jobs = 1 runs tasks in place", 1, true), result.err)
  end)
end)
