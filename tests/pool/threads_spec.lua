-- Workers that are threads: what holds for all kinds of workers, and what only for these.
-- runs under: thread
local lfs = require "lfs"
local lk = require "lkrun"
local await = require "tests.support.await"
local processes = require "tests.support.processes"
local program = require "tests.support.program"

local invoker = lk.invoker -- the real one, because the generic specs put their own in its place

-- These fork nothing, so the thread sanitizer can watch them.
local shared_specs = { "map", "map_ending", "map_unused", "future", "values" }
local sanitizes_threads = (os.getenv "LKRUN_SAN" or ""):find "thread"
if not sanitizes_threads then
  shared_specs[#shared_specs + 1] = "errors"
end
require "tests.support.generic"("threads", shared_specs, _ENV)

local function threads(func, options)
  options = options or {}
  options.n_jobs, options.workers = options.n_jobs or 2, "threads"
  local model = options.model
  options.model = nil
  return invoker(model, func, options)
end

-- The threads of this process that are not in `before`: a set of their ids, and how many there are.
local function threads_beside(before)
  local new, count = {}, 0
  for id in lfs.dir "/proc/self/task" do
    if tonumber(id) and not before[id] then
      new[id], count = true, count + 1
    end
  end
  return new, count
end

describe("worker threads", function()
  it("are threads of this process, and gone after a shutdown, with their descriptors", function()
    local before, open, own = threads_beside {}, processes.count_descriptors(), processes.own()
    local inv = threads(function() return require("tests.support.processes").own() end, { n_jobs = 3 })
    assert.equal(3, (select(2, threads_beside(before))))
    assert.same({ n = 3, errors = {}, own, own, own }, inv:collect { 1, 2, 3 })
    assert.same({}, processes.children(own))
    inv:shutdown()
    -- The kernel may list a thread for a moment after it was joined.
    await(function() return select(2, threads_beside(before)) == 0 end, "the end of the threads")
    assert.equal(open, processes.count_descriptors())
  end)

  it("are as many as lk.config().threads where n_jobs does not say", function()
    local result = program.run([[
      local lk = require "lkrun"
      print(lk.invoker(nil, print, { workers = "threads" }):stats().n_jobs)
      print(lk.invoker(nil, print, { workers = "threads", n_jobs = 2 }):stats().n_jobs)
    ]], { env = { LK_NUM_THREADS = "5", LK_NUM_PROCS = "3" } })
    assert.equal("5\n2\n", result.out .. result.err)
  end)

  it("have a configuration of one process, one thread, and the program's backend threads", function()
    local result = program.run([[
      local lk = require "lkrun"
      local inv <close> = lk.invoker(nil, function()
        local config = lk.config()
        return { config.processes, config.threads, config.backend_threads, config.child_threads,
          os.getenv "LK_NUM_PROCS" }
      end, { n_jobs = 2, workers = "threads" })
      print(table.concat(inv:submit(1):get(), " "), lk.config().processes)
    ]], { env = { LK_NUM_PROCS = "3", LK_NUM_BACKEND_THREADS = "2" } })
    assert.equal("1 1 2 1 3\t3\n", result.out .. result.err)
  end)

  it("refuse what needs processes", function()
    for name, value in pairs { timeout = 1, memory_limit = 1 << 30, retries = 1 } do
      assert.error_matches(function() threads(print, { [name] = value }) end,
        "^lkrun: lk.invoker: " .. name .. " is given for worker threads, which cannot be ended; expected .*processes$")
    end
    assert.error_matches(function()
      threads(print, { worker = { backend_threads = lk.config().backend_threads + 1 } })
    end, "worker.backend_threads is %d+; worker threads use the program's own")
    threads(print, { retries = 0 }):shutdown()
  end)

  it("cannot end the program with os.exit", function()
    local inv <close> = threads(function(_, task)
      if task == 2 then os.exit(3) end
      return task
    end, { on_error = "return" })
    local results = inv:collect { 1, 2, 3 }
    assert.same({ 1, 3 }, { results[1], results[3] })
    assert.matches("os.exit: a worker that is a thread cannot end the program", results.errors[2].message)
    assert.equal("error", results.errors[2].reason)
  end)

  it("keep globals for themselves, each its own", function()
    local inv <close> = threads(function()
      counter = (rawget(_G, "counter") or 0) + 1 -- luacheck: ignore
      return counter -- luacheck: ignore
    end)
    local most, tasks = 0, {}
    for i = 1, 100 do tasks[i] = i end
    for _, count in inv:map(tasks) do most = math.max(most, count) end
    assert.is_true(most <= 100 and most >= 50)
    assert.is_nil(rawget(_G, "counter"))
  end)

  it("draw the same random numbers as processes", function()
    local function draw() return lk.random(), math.random(1000), lk.tensor.randn({ 2 }):get(1) end
    local function all(options)
      local numbers = {}
      options.seed = 7
      for i, a, b, c in lk.map(nil, draw, { 1, 2, 3, 4, 5 }, options) do
        numbers[i] = ("%.17g %d %.17g"):format(a, b, c)
      end
      return numbers
    end
    local alone = all { n_jobs = 1, workers = "threads" }
    assert.same(alone, all { n_jobs = 2, workers = "threads" })
    assert.same(alone, all { n_jobs = 3, workers = "threads" })
  end)

  it("may have threads of their own", function()
    local inv <close> = threads(function(_, task)
      local inner <close> = lk.invoker(nil, function(_, n) return n * task end, { n_jobs = 2, workers = "threads" })
      local results = inner:collect { 1, 2, 3 }
      return results[1] + results[2] + results[3]
    end)
    assert.same({ n = 3, errors = {}, 6, 12, 18 }, inv:collect { 1, 2, 3 })
  end)

  it("run invokers in place where n_jobs is nil", function()
    local inv <close> = threads(function(_, task)
      local inner <close> = lk.invoker(nil, function(_, n) return n * task end)
      return inner:collect({ 2 })[1], inner:stats().n_jobs
    end)
    for i, result, jobs in inv:map { 1, 2, 3 } do assert.same({ 2 * i, 1 }, { result, jobs }) end
  end)

  it("do not lend a task's tensor to other threads", function()
    local inv <close> = threads(function(_, t)
      return pcall(lk.invoker, t, print, { n_jobs = 2, workers = "threads" })
    end)
    local ok, message = inv:submit(lk.tensor.zeros { 20000 }):get()
    assert.is_false(ok)
    assert.equal("lkrun: lk.invoker: model: a tensor of a task belongs to its worker; carry its clone()", message)
  end)

  it("send large tensors as snapshots, and give the room back", function()
    local region = require "lkrun.core.region"
    collectgarbage()
    collectgarbage()
    local before = region.use().used
    local inv = threads(function(_, t) return t:mul(2), t:get(1) end)
    local buffer = lk.tensor.zeros { 20000 }
    local i = 0
    for k, doubled, second in inv:map(function()
      i = i + 1
      if i <= 50 then return buffer:fill(i) end
    end) do
      if doubled:get(20000) ~= 2 * k or second ~= 2 * k then error(("task %d gave %s"):format(k, doubled:get(1))) end
    end
    inv:shutdown()
    buffer, inv = nil, nil -- luacheck: ignore
    collectgarbage()
    collectgarbage()
    assert.equal(before, region.use().used)
  end)

  it("compute with the backend all at once", function()
    local a = lk.tensor.randn { 120, 120 }
    local expected = a:mm(a)
    local inv <close> = threads(function(m) return m:mm(m) end, { model = a, n_jobs = 4 })
    for _, product in inv:map { 1, 2, 3, 4, 5, 6, 7, 8 } do
      assert.is_true((product - expected):abs():max() < 1e-9)
    end
  end)

  it("cannot make processes", function()
    local inv <close> = threads(function()
      return select(2, pcall(lk.invoker, nil, print, { n_jobs = 2 }))
    end)
    assert.matches("processes are made on the main thread alone", (inv:submit(1):get()))
  end)

  it("let the program make processes while they work", function()
    if sanitizes_threads then return pending "forks" end
    local a = lk.tensor.randn { 100, 100 }
    local inv <close> = threads(function(m) return m:mm(m):get(1, 1) end, { model = a })
    for i in inv:map(function() return 1 end) do
      if i % 20 == 1 then
        local other <close> = lk.invoker(a, function(m) return m:mm(m):get(1, 1) end, { n_jobs = 2 })
        assert.equal(2, other:collect({ 1, 2 }).n)
      end
      if i == 100 then break end
    end
  end)

  it("are waited for by a shutdown", function()
    local began, finished = lk.tensor.zeros { 1 }, lk.tensor.zeros { 1 }
    local inv = threads(function()
      began:set(1, 1)
      local until_then = lk.clock() + 0.3
      while lk.clock() < until_then do end
      finished:set(1, 1)
    end, { writable = { began, finished } })
    inv:submit(1)
    await(function() return began:get(1) == 1 end, "the task")
    inv:shutdown()
    assert.equal(1, finished:get(1))
  end)
end)

describe("what worker threads print", function()
  it("comes in whole lines, with the results", function()
    local result = program.run [[
      local lk = require "lkrun"
      local inv <close> = lk.invoker(nil, function(_, task)
        for _ = 1, 50 do
          io.write "half "
          print(task, "of", 200)
          io.stderr:write("error ", task, "\n")
        end
        io.stdout:write "left over"
      end, { n_jobs = 4, workers = "threads" })
      for i in inv:map(function(_, i) i = (i or 0) + 1 if i <= 200 then return i end end) do end
      print "end"
    ]]
    local lines, last = 0, nil
    for line in result.out:gmatch "([^\n]*)\n" do
      lines, last = lines + 1, last or line
      if line ~= "end" and line ~= "left over" and not line:find "^l?e?f?t? ?o?v?e?r?half %d+\tof\t200$" then
        error("a line is '" .. line .. "'")
      end
    end
    assert.is_true(lines >= 10001)
    assert.equal(10000, select(2, result.err:gsub("error %d+\n", "")))
    assert.equal(0, result.status)
  end)

  it("and log reaches the program with worker and task", function()
    local result = program.run [[
      local lk = require "lkrun"
      local log = lk.log.get "train"
      local inv <close> = lk.invoker(nil, function(_, task) log:info("epoch %d", task) end,
        { n_jobs = 2, workers = "threads" })
      inv:collect { 1, 2, 3 }
    ]]
    for i = 1, 3 do
      assert.matches("INFO train %[worker %d, task " .. i .. "%]: epoch " .. i .. "\n", result.err)
    end
  end)

  it("and progress made in them shows in the program", function()
    local result = program.run([[
      local lk = require "lkrun"
      local inv <close> = lk.invoker(nil, function()
        local p = lk.invoke_progress { label = "inner", total = 3 }
        local start = lk.clock()
        while lk.clock() - start < 0.4 do p:update(0) end
        p:update(3)
        p:finish()
      end, { n_jobs = 2, workers = "threads" })
      inv:collect { 1 }
    ]], { env = { LK_PROGRESS = "json" } })
    assert.matches('"label":"inner"', result.err)
    assert.equal(0, result.status)
  end)
end)

describe("an interrupted program with worker threads", function()
  for what, body in pairs {
    ["a loop in Lua"] = "while true do end",
    ["a loop that catches errors"] = "while true do pcall(function() while true do end end) end",
    ["a coroutine"] = "coroutine.wrap(function() while true do end end)()",
    ["a map of its own"] = [[
      local inner <close> = lk.invoker(nil, function() while true do end end, { n_jobs = 2, workers = "threads" })
      inner:collect { 1, 2 }]],
  } do
    it("ends though its tasks are in " .. what, function()
      if sanitizes_threads then return pending "the sanitizer holds signals back from a loop in Lua" end
      local result = program.run(([[
        local lk = require "lkrun"
        local inv <close> = lk.invoker(nil, function(_, task)
          if task == 2 then io.popen("kill -INT $PPID"):close() end
          %s
        end, { n_jobs = 2, workers = "threads" })
        inv:collect { 1, 2, 3 }
      ]]):format(body), { before = "timeout -s KILL 200" })
      assert.equal(130, result.status)
    end)
  end

  it("ends while threads of its threads work", function()
    if sanitizes_threads then return pending "the sanitizer holds signals back from a loop in Lua" end
    local result = program.run([[
      local lk = require "lkrun"
      local inv <close> = lk.invoker(nil, function()
        local inner <close> = lk.invoker(nil, function(_, n)
          if n == 2 then io.popen("kill -INT $PPID"):close() end
          while true do end
        end, { n_jobs = 2, workers = "threads" })
        inner:collect { 1, 2 }
      end, { n_jobs = 2, workers = "threads" })
      inv:collect { 1 }
    ]], { before = "timeout -s KILL 200" })
    assert.equal(130, result.status)
  end)
end)
