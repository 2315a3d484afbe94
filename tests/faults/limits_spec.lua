-- Tasks that take too long or too much.
local lk = require "lkrun"
local processes = require "tests.support.processes"
local setup = require "tests.faults.setup"
local fault, clean = setup.fault, setup.clean

local MIB = 1 << 20
local WOULD = "; retries = 1 would run it again"

-- Runs ten tasks, of which the fifth calls `bad`, with these limits: only that one fails, for this reason.
local function assert_limited(bad, options, reason, text)
  local function work(_, n)
    if n == "bad" then bad() end
    return n * 2
  end
  options.n_jobs, options.on_error = 2, "return"
  local inv <close> = lk.invoker({}, work, options)
  local results, errors, count = setup.gather(inv:map { 1, 2, 3, 4, "bad", 6, 7, 8, 9, 10 })
  assert.equal(10, count)
  local err = errors[5]
  errors[5] = nil
  assert.same({}, errors)
  for i = 1, 10 do
    if i ~= 5 then assert.equal(2 * i, results[i]) end
  end
  assert.equal(reason, err.reason)
  assert.equal(text:format(5, err.worker), err.message)
  assert.equal(("lkrun: %s; 4 other results delivered"):format(err.message), tostring(err))
  setup.assert_goes_on(inv)
  return err
end

-- Seconds. Long enough that the other tasks, which do next to nothing, are not late on a machine that stalls.
local TIMEOUT <const> = 1
local LATE = "task %d ran longer than its timeout of 1 seconds on worker %d"

describe("a timeout ends", function()
  local ways = {
    ["a task in an endless loop"] = function() while true do end end,
    ["an endless loop that catches errors"] = function()
      while true do pcall(error, "again") end
    end,
    ["a C call that never returns"] = fault.stuck,
    ["a C call that never returns nor sleeps"] = fault.spin,
    ["a worker that is stopped"] = function() fault.kill(fault.pid(), "STOP") end,
    ["a worker that blocks the timer's signal"] = function()
      fault.block "ALRM"
      while true do end
    end,
    ["a worker that ignores the timer's signal"] = function()
      fault.ignore "ALRM"
      fault.stuck()
    end,
  }
  for name, way in pairs(ways) do
    it(name, clean(function() assert_limited(way, { timeout = TIMEOUT }, "timeout", LATE .. WOULD) end))
  end

  -- Between tasks no time counts for a worker; but if a stopped one were never ended, the tasks that it was given
  -- would wait for ever, or be moved between it and others again and again.
  for which, name in ipairs { "a worker", "the other worker", "all workers" } do
    it(name .. " that is stopped between tasks, with nobody to blame", clean(function()
      local inv <close> = lk.invoker({}, function(_, n) return n * 2 end, { n_jobs = 2, timeout = TIMEOUT })
      for _ = 1, 2 do
        processes.await_workers(inv)
        local stopped = {}
        for i, worker in ipairs(inv:stats().workers) do
          if which == 3 or which == i then
            fault.kill(worker.pid, "STOP")
            setup.eventually(function() return setup.state(worker.pid) == "T" end, "a worker that is stopped")
            stopped[#stopped + 1] = worker.pid
          end
        end
        setup.assert_goes_on(inv)
        assert.equal(2, inv:submit(1):get())
        for _, pid in ipairs(stopped) do fault.kill(pid, "CONT") end
      end
      setup.assert_goes_on(inv)
      assert.equal(0, inv:stats().crashes)
    end))
  end

  it("a worker that is stopped while it waits for room for its result", clean(function()
    local begun = lk.tensor.zeros { 2 }
    local inv <close> = lk.invoker({}, function(_, n)
      if n == "first" then
        repeat until begun:get(1) > 0
        return 2
      end
      if n ~= "large" then return n * 2 end
      begun:set(1, fault.pid())
      repeat until begun:get(2) == 1
      return ("x"):rep(4 << 20)
    end, { n_jobs = 2, timeout = 2, on_error = "return", writable = { begun } })
    local errors = {}
    for i, _, err in inv:map { "first", "large" } do
      errors[i] = err
      if i == 1 then
        local pid = math.tointeger(begun:get(1))
        begun:set(2, 1)
        setup.eventually(function() return setup.state(pid) == "S" end, "a worker that waits for room")
        fault.kill(pid, "STOP")
      end
    end
    assert.equal(("task 2 ran longer than its timeout of 2 seconds on worker %d%s"):format(
      errors[2].worker, WOULD), errors[2].message)
    setup.assert_goes_on(inv)
  end))

  it("a task that waits for a program, and the program", clean(function()
    local path <close> = setup.file ""
    assert_limited(function()
      os.execute(("echo $$ >%s; exec tail -f /dev/null"):format(path.path))
    end, { timeout = 3 }, "timeout", LATE:gsub("1", "3") .. WOULD)
    local file <close> = io.open(path.path)
    local pid = file:read "n"
    setup.eventually(function() return (setup.state(pid) or "Z") == "Z" end, "the program's end")
  end))

  it("a task again and again, and tells after the retries", clean(function()
    local tries = lk.tensor.zeros { 1 }
    assert_limited(function()
      tries:set(1, tries:get(1) + 1)
      fault.stuck()
    end, { timeout = TIMEOUT, retries = 2, writable = { tries } }, "timeout",
      LATE .. ", the last of 3 times it was tried")
    assert.equal(3, tries:get(1))
  end))

  it("a task that is in time when it is tried again", clean(function()
    local tries = lk.tensor.zeros { 1 }
    local inv <close> = lk.invoker({}, function(_, n)
      tries:set(1, tries:get(1) + 1)
      if tries:get(1) == 1 then fault.stuck() end
      return n * 2
    end, { timeout = TIMEOUT, retries = 1, n_jobs = 2, writable = { tries } })
    assert.equal(2, inv:submit(1):get())
    assert.equal(1, inv:stats().retries)
    setup.assert_goes_on(inv)
  end))

  it("no worker that waits for the program", clean(function()
    local size = lk.tensor.zeros { 1 }
    local inv <close> = lk.invoker({}, function(_, n)
      if n == "small" then return n end
      repeat until size:get(1) > 0
      return lk.tensor.ones { size:get(1) // 1 | 0 } -- gets its room only when the loop asks for the next result
    end, { n_jobs = 2, timeout = TIMEOUT, writable = { size } })
    for i, result in inv:map { "small", "large" } do
      if i == 1 then
        size:set(1, 100000)
        local over = lk.clock() + 1.5 * TIMEOUT
        setup.eventually(function() return lk.clock() > over end, "the time that a task has")
      else
        assert.equal(100000, result:size(1))
      end
    end
  end))

  it("no worker between tasks", clean(function()
    local inv <close> = lk.invoker({}, function(_, n) return n * 2 end, { n_jobs = 2, timeout = TIMEOUT })
    setup.assert_goes_on(inv)
    local pids = {}
    for i, worker in ipairs(inv:stats().workers) do pids[i] = worker.pid end
    local over = lk.clock() + 1.5 * TIMEOUT
    setup.eventually(function() return lk.clock() > over end, "the time that a task has")
    setup.assert_goes_on(inv)
    assert.equal(0, inv:stats().crashes)
    for i, worker in ipairs(inv:stats().workers) do assert.truthy(pids[i] == 0 or worker.pid == pids[i]) end
  end))
end)

describe("a worker that is stopped between tasks", function()
  it("without a timeout keeps nobody waiting while there is another", clean(function()
    for which = 1, 2 do
      local inv <close> = lk.invoker({}, function(_, n) return n * 2 end, { n_jobs = 2 })
      processes.await_workers(inv)
      local pid = inv:stats().workers[which].pid
      fault.kill(pid, "STOP")
      setup.eventually(function() return setup.state(pid) == "T" end, "a worker that is stopped")
      for _ = 1, 3 do setup.assert_goes_on(inv) end
      assert.equal(2, inv:submit(1):get())
      fault.kill(pid, "CONT")
      setup.assert_goes_on(inv)
      assert.equal(0, inv:stats().crashes)
    end
  end))
end)

local LARGE = ("task %%d needed more than its memory_limit of %d bytes on worker %%d"):format(32 * MIB)

describe("a memory limit", function()
  local kept = {} -- what a worker's task keeps alive
  local function fill_tables()
    kept = {}
    for i = 1, math.huge do kept[i] = { i } end
    return kept
  end
  local function fill_strings()
    kept = {}
    for i = 1, math.huge do kept[i] = (i .. " "):rep(1000) end
  end
  local ways = {
    ["in Lua tables"] = fill_tables,
    ["in Lua strings"] = fill_strings,
    ["in Lua, all at once"] = function() return ("x"):rep(100 * MIB) end,
    ["in tensors"] = function()
      for i = 1, 64 do kept[i] = lk.tensor.ones { MIB // 8 } end
      fault.stuck()
    end,
    ["in small tensors"] = function()
      for i = 1, 1 << 15 do kept[i] = lk.tensor.ones { 256 } end
      fault.stuck()
    end,
    ["in C"] = function()
      fault.hog(64 * MIB)
      fault.stuck()
    end,
    ["in a result"] = function() error(lk.tensor.zeros { 64 * MIB // 8 }) end,
  }
  for name, way in pairs(ways) do
    it("is exceeded " .. name, clean(function()
      assert_limited(way, { memory_limit = 32 * MIB }, "memory", LARGE .. WOULD)
    end))
    it("is exceeded again and again " .. name, clean(function()
      local tries = lk.tensor.zeros { 1 }
      assert_limited(function()
        tries:set(1, tries:get(1) + 1)
        way()
      end, { memory_limit = 32 * MIB, retries = 1, writable = { tries } }, "memory",
        LARGE .. ", the last of 2 times it was tried")
      assert.equal(2, tries:get(1))
    end))
  end

  it("can be met by a task that needs less then", clean(function()
    local inv <close> = lk.invoker({}, function(_, n)
      if n ~= "much" then return n * 2 end
      local done, message = pcall(fill_strings)
      return done, message
    end, { n_jobs = 2, memory_limit = 2 * MIB }) -- a sanitizer adds a part, which must fit into the host's allowance
    for _, done, message in inv:map { "much" } do
      assert.is_false(done)
      assert.equal("not enough memory", message)
    end
    setup.assert_goes_on(inv)
    assert.equal(0, inv:stats().crashes)
  end))

  it("does not count what is shared", clean(function()
    local model = { big = lk.tensor.ones { 8 * MIB }, tables = {} }
    for i = 1, 200000 do model.tables[i] = { i } end
    local inv <close> = lk.invoker(model, function(m, n)
      local sum = m.big:sum()
      for i = 1, #m.tables do sum = sum + m.tables[i][1] end
      return sum * 0 + n * 2
    end, { n_jobs = 2, memory_limit = 8 * MIB })
    for _ = 1, 3 do setup.assert_goes_on(inv) end
  end))

  it("does not count garbage", clean(function()
    local inv <close> = lk.invoker({}, function(_, n)
      local garbage = 0
      for i = 1, 20 do garbage = garbage + #("x"):rep(100000 + i) end
      return n * 2 + garbage * 0
    end, { n_jobs = 2, memory_limit = 16 * MIB })
    for _ = 1, 20 do setup.assert_goes_on(inv) end
    assert.equal(0, inv:stats().crashes)
  end))

  it("is no more than an error for who is not to blame", clean(function()
    local inv <close> = lk.invoker({}, function(_, n)
      if n % 10 == 0 then fill_strings() end
      return n * 2
    end, { n_jobs = 2, memory_limit = 16 * MIB, on_error = "return" })
    local tasks = {}
    for i = 1, 60 do tasks[i] = i end
    local results, errors, count = setup.gather(inv:map(tasks))
    assert.equal(60, count)
    for i = 1, 60 do
      if i % 10 == 0 then
        assert.equal("memory", errors[i].reason)
      else
        assert.equal(2 * i, results[i])
      end
    end
  end))
end)
