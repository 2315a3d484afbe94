-- Workers that are new processes: what holds for all kinds of workers, and what only for these.
local lk = require "lkrun"
local await = require "tests.support.await"
local processes = require "tests.support.processes"
local program = require "tests.support.program"

require "tests.support.generic"("spawn", { "map", "map_ending", "map_unused", "future", "errors", "values" }, _ENV)

local function spawned(model, func, options)
  options = options or {}
  options.n_jobs, options.workers = options.n_jobs or 2, "spawn"
  return lk.invoker(model, func, options)
end

describe("spawned workers", function()
  it("are new processes, and gone after a shutdown, with their descriptors", function()
    local own = processes.own()
    local function round()
      local inv = spawned(nil, function() return require("tests.support.processes").own() end)
      local pids = inv:collect { 1, 2, 3, 4 }
      for i = 1, 4 do assert.is_true(pids[i] ~= own) end
      inv:shutdown()
      assert.same({}, processes.children(own))
    end
    round() -- what is opened once and for all
    collectgarbage()
    local open = processes.count_descriptors()
    round()
    collectgarbage()
    assert.equal(open, processes.count_descriptors())
  end)

  it("see model tensors in shared memory, at whatever address, read-only but for writable ones", function()
    local big, small, out = lk.tensor.randn { 200, 200 }, lk.tensor.arange(1, 6), lk.tensor.zeros { 4 }
    local model = { big = big, row = big:select(1, 3), small = small, view = small:narrow(1, 2, 3), out = out }
    local inv <close> = spawned(model, function(m, task)
      m.out:set(task, task)
      return m.row:get(5), m.view:get(1), (pcall(m.big.set, m.big, 1, 1, 0)), (pcall(m.small.set, m.small, 1, 0))
    end, { writable = { out } })
    big:set(3, 5, 42)
    for _, cell, second, wrote_big, wrote_small in inv:map { 1, 2, 3, 4 } do
      assert.same({ 42, 2, false, false }, { cell, second, wrote_big, wrote_small })
    end
    assert.same({ 1, 2, 3, 4 }, out:totable())
  end)

  it("keep the model while the program lets go of it", function()
    local model = lk.tensor.ones { 300000 }
    local inv <close> = spawned(model, function(m) return m:sum() end)
    model = nil -- luacheck: ignore model
    collectgarbage()
    collectgarbage()
    local others = {} -- luacheck: ignore others
    for i = 1, 5 do others[i] = lk.tensor.zeros { 300000 } end
    assert.same({ n = 3, errors = {}, 300000, 300000, 300000 }, inv:collect { 1, 2, 3 })
  end)

  it("have the configuration of workers, in Lua and in the environment", function()
    local inv <close> = spawned(nil, function()
      local config = lk.config()
      return config.processes, config.threads, config.backend_threads, os.getenv "LK_NUM_PROCS"
    end)
    assert.same({ 1, 1, lk.config().child_threads, "1" }, { inv:submit(1):get() })
  end)

  it("have upvalues and modules, and miss globals by name", function()
    local factor = 3
    local function helper(x) return factor * x end
    local names = require "tests.support.await"
    package.loaded._G.program_global = 1
    finally(function() package.loaded._G.program_global = nil end)
    local inv <close> = spawned(nil, function(_, task)
      if task == 2 then return program_global end -- luacheck: ignore
      return helper(task), names == require "tests.support.await"
    end, { on_error = "return" })
    local results = inv:collect { 1, 2 }
    assert.equal(3, results[1])
    assert.matches("the global 'program_global' belongs to the program", results.errors[2].message)
  end)

  it("that die are blamed for their task, and replaced", function()
    local inv <close> = spawned(nil, function(_, task)
      if task % 5 == 0 then io.popen "kill -9 $PPID":close() end
      return task
    end, { on_error = "return" })
    local tasks = {}
    for i = 1, 20 do tasks[i] = i end
    local results = inv:collect(tasks)
    for i = 1, 20 do
      if i % 5 == 0 then
        assert.equal("signal", results.errors[i].reason)
        assert.matches("^task " .. i .. " killed worker %d %(SIGKILL", results.errors[i].message)
      else
        assert.equal(i, results[i])
      end
    end
  end)

  it("take timeouts, and retries", function()
    local tried = lk.tensor.zeros { 1 }
    local inv <close> = spawned(nil, function(_, task)
      tried:set(1, tried:get(1) + 1)
      if tried:get(1) < 3 then os.exit(4) end
      return task
    end, { retries = 5, writable = { tried } })
    assert.equal(7, (inv:submit(7):get()))
    local late <close> = spawned(nil, function() while true do end end, { timeout = 0.05, on_error = "return" })
    local results = late:collect { 1 }
    assert.equal("timeout", results.errors[1].reason)
  end)

  it("whose module fails say so, and the map ends with it", function()
    local result = program.run [[
      local lk = require "lkrun"
      package.preload.here = function() return { f = print } end
      local f = require "here".f
      local here = require "here"
      print(pcall(function()
        for _ in lk.map(nil, function() return here.f end, { 1 }, { n_jobs = 2, workers = "spawn" }) do end
      end))
    ]]
    assert.matches("lkrun: worker: func or model needs module 'here', which a worker cannot load", result.err)
    assert.matches("false\tlkrun: .*workers cannot start", result.out)
  end)

  it("print in whole lines, and log", function()
    local result = program.run [[
      local lk = require "lkrun"
      local log = lk.log.get "train"
      for i in lk.map(nil, function(_, task) print("task", task) log:info("did %d", task) end,
        { 1, 2, 3 }, { n_jobs = 2, workers = "spawn" }) do end
    ]]
    for i = 1, 3 do
      assert.matches("task\t" .. i .. "\n", result.out)
      assert.matches("train %[worker %d, task " .. i .. "%]: did " .. i .. "\n", result.err)
    end
  end)

  it("end with a program that is killed", function()
    local path = os.tmpname()
    finally(function() os.remove(path) end)
    program.run(([[
      local lk = require "lkrun"
      local inv = lk.invoker(nil, function(_, path)
        local file <close> = io.open(path, "a")
        file:write(require "tests.support.processes".own(), "\n")
        file:close()
        io.popen("kill -9 " .. %q):close()
        while true do end
      end, { n_jobs = 2, workers = "spawn" })
      inv:submit(%q):get()
    ]]):gsub("%%q", "%%s", 1):format('io.open("/proc/self/stat"):read "a":match "%) %a (%d+)"', path))
    local pid = tonumber((processes.read(path) or ""):match "%d+")
    assert.is_number(pid)
    await(function() return not processes.runs(pid) end, "the end of a worker")
  end)
end)

describe("a stock Lua", function()
  it("finds lkrun beside core.so", function()
    if (os.getenv "LKRUN_SAN" or "") ~= "" then return pending "a sanitized core needs a sanitized Lua" end
    local core = program.executable:match "^(.*)/lkrun$" .. "/lib/?.so"
    local result = program.shell(([[lua5.4 -e 'package.cpath = "%s"
      local lk = require "lkrun"
      local A = lk.tensor.ones { 200, 200 }
      for i, r in lk.map(A, function(m, t) return m:sum() * t end, { 1, 2 }, { n_jobs = 2, workers = "spawn" }) do
        print(i, r)
      end']]):format(core))
    assert.equal("1\t40000.0\n2\t80000.0\n", result.out .. result.err)
  end)
end)
