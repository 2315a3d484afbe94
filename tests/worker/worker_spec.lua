-- What a task finds around it, in a worker and in place.
local lk = require "lkrun"
local processes = require "tests.support.processes"
local program = require "tests.support.program"

local function draw()
  local values = { math.random(), math.random(100), lk.random(), lk.random(10), lk.random.normal() }
  local tensor = lk.tensor.randn { 3 }
  for i = 1, 3 do values[#values + 1] = tensor:get(i) end
  return values
end

local function tasks_to(n)
  local tasks = {}
  for i = 1, n do tasks[i] = i end
  return tasks
end

describe("random numbers of a task", function()
  local function drawn(options, count)
    local inv <close> = lk.invoker(nil, draw, options)
    return inv:collect(tasks_to(count))
  end

  it("are the same for every number of jobs, ordered or not", function()
    local expected = drawn({ n_jobs = 1, seed = 12 }, 40)
    local different = {}
    for i = 1, 40 do different[expected[i][1]] = true end
    local count = 0
    for _ in pairs(different) do count = count + 1 end
    assert.equal(40, count)
    for _, n_jobs in ipairs { 1, 2, 4 } do
      for _, ordered in ipairs { true, false } do
        assert.same(expected, drawn({ n_jobs = n_jobs, seed = 12, ordered = ordered }, 40))
      end
    end
    assert.are_not.same(expected[1], drawn({ n_jobs = 2, seed = 13 }, 1)[1])
  end)

  it("do not depend on what other tasks drew, or seeded", function()
    local function careless(_, task)
      if task % 2 == 1 then
        math.randomseed(5)
        for _ = 1, task do math.random() end
      end
      return task % 2 == 0 and draw() or nil
    end
    for _, n_jobs in ipairs { 1, 2 } do
      local inv <close> = lk.invoker(nil, careless, { n_jobs = n_jobs, seed = 12 })
      local results = inv:collect(tasks_to(20))
      local expected = drawn({ n_jobs = 1, seed = 12 }, 20)
      for i = 2, 20, 2 do assert.same(expected[i], results[i]) end
    end
  end)

  it("differ from map to map, and repeat with the invoker's seed", function()
    local function two_maps(n_jobs, seed)
      local inv <close> = lk.invoker(nil, draw, { n_jobs = n_jobs, seed = seed })
      return { inv:collect(tasks_to(5)), inv:collect(tasks_to(5)), inv:submit(1):get(), inv:submit(1):get() },
        inv:stats().seed
    end
    local maps, seed = two_maps(1)
    assert.are_not.same(maps[1], maps[2])
    assert.are_not.same(maps[3], maps[4])
    assert.are_not.same(maps[1][1], maps[3])
    assert.same(maps, (two_maps(1, seed)))
    assert.same(maps, (two_maps(2, seed)))
    local _, other = two_maps(2)
    assert.are_not.equal(seed, other)
  end)

  it("leave the program's own alone", function()
    for _, n_jobs in ipairs { 1, 2 } do
      math.randomseed(42)
      lk.random.seed(7)
      local inv <close> = lk.invoker(nil, draw, { n_jobs = n_jobs })
      local one, two = math.random(), lk.random()
      inv:collect(tasks_to(3))
      local next_one, next_two = math.random(), lk.random()
      math.randomseed(42)
      lk.random.seed(7)
      assert.same({ one, next_one }, { math.random(), math.random() })
      assert.same({ two, next_two }, { lk.random(), lk.random() })
    end
  end)

  it("are drawn from a seed that is logged when the system chose it", function()
    local code = [[
      local lk = require "lkrun"
      local function draw(_, task) return task > 0 and lk.random() or 0 end
      local inv <close> = lk.invoker(nil, draw, { n_jobs = 2, seed = SEED })
      inv:collect { TASK }
      inv:collect { TASK }
      print(inv:stats().seed)]]
    local function run(seed, task) return program.output((code:gsub("SEED", seed):gsub("TASK", task))) end
    local out, err = run("nil", "1")
    assert.truthy(err:find("root seed " .. out:match "%d+", 1, true), err)
    assert.equal(1, select(2, err:gsub("root seed", "")))
    assert.equal("", (select(2, run("5", "1"))))
    assert.equal("", (select(2, run("nil", "0")))) -- no random number was drawn, so the seed is not logged
  end)
end)

describe("the configuration in a worker", function()
  local knobs = { "LK_NUM_PROCS", "LK_NUM_THREADS", "LK_NUM_BACKEND_THREADS", "LK_NUM_CHILD_THREADS" }

  it("says one process and one thread, in Lua, in the environment and in programs it starts", function()
    local out = program.output([[
      local lk = require "lkrun"
      lk.initialize { processes = 2, threads = 3, backend_threads = 4, child_threads = 5 }
      local knobs = { "LK_NUM_PROCS", "LK_NUM_THREADS", "LK_NUM_BACKEND_THREADS", "LK_NUM_CHILD_THREADS" }
      local inv <close> = lk.invoker(nil, function()
        local c = lk.config()
        local values = { c.processes, c.threads, c.backend_threads, c.child_threads, lk.proc_count() }
        for _, name in ipairs(knobs) do values[#values + 1] = os.getenv(name) end
        local pipe <close> = io.popen("echo $" .. table.concat(knobs, " $"))
        values[#values + 1] = pipe:read "l"
        return table.concat(values, " ")
      end)
      for _, line in inv:map { 1, 2, 3, 4 } do print(line) end
      print(lk.config().processes, lk.config().child_threads, os.getenv "LK_NUM_PROCS")]])
    assert.equal(("1 1 5 1 1 1 1 5 1 1 1 5 1\n"):rep(4) .. "2\t5\tnil\n", out)
  end)

  it("can be told otherwise", function()
    local inv <close> = lk.invoker(nil, function()
      local config = lk.config()
      return config.processes, config.threads, config.backend_threads, os.getenv(knobs[2])
    end, { n_jobs = 2, worker = { threads = 3, backend_threads = 2 } })
    for _, procs, threads, backend, text in inv:map { 1, 2 } do
      assert.same({ 1, 3, 2, "3" }, { procs, threads, backend, text })
    end
  end)
end)

describe("in a worker", function()
  it("standard input is empty", function()
    local inv <close> = lk.invoker(nil, function() return io.read "a", io.read "l" end, { n_jobs = 2 })
    for _, all, line in inv:map { 1 } do assert.same({ "", nil }, { all, line }) end
  end)

  it("what it writes comes out in whole lines, before the result of its task", function()
    local out, err = program.output [[
      local lk = require "lkrun"
      io.stdout:setvbuf "line"
      local inv <close> = lk.invoker(nil, function(_, task)
        io.write("task ", task)
        io.write(" says\n")
        print("print", task)
        io.stderr:write("error of ", task, "\n")
        os.execute("echo program of " .. task)
        return task
      end, { n_jobs = 3 })
      local tasks = {}
      for i = 1, 30 do tasks[i] = i end
      for i in inv:map(tasks) do print("result", i) end]]
    local said, position = {}, 0
    for line in out:gmatch "[^\n]*" do
      position = position + 1
      if line ~= "" then
        assert.is_nil(said[line])
        said[line] = position
      end
    end
    local errors = {}
    for number in err:gmatch "error of (%d+)\n" do errors[#errors + 1] = tonumber(number) end
    assert.equal(30, #errors)
    for i = 1, 30 do
      local result = said["result\t" .. i]
      for _, line in ipairs { "task %d says", "print\t%d", "program of %d" } do
        assert.is_true(said[line:format(i)] < result, line:format(i))
      end
      said["task " .. i .. " says"] = nil
    end
    assert.equal(30 * 4, select(2, out:gsub("\n", "")))
  end)

  it("a line that is not ended comes out at its end, or the program's", function()
    local out = program.output [[
      local lk = require "lkrun"
      local inv <close> = lk.invoker(nil, function(_, task) io.write(task, ";") end, { n_jobs = 2 })
      inv:collect { 7 } ]]
    assert.equal("7;\n", out)
  end)

  it("log records come out whole, with the worker and the task", function()
    local _, err = program.output([[
      local lk = require "lkrun"
      local log = lk.log.get "op"
      local inv <close> = lk.invoker(nil, function(_, task) log:info("task %d here", task) end, { n_jobs = 2 })
      inv:collect { 1, 2, 3 }]], { env = { LK_LOG_LEVEL = "info" } })
    for i = 1, 3 do assert.truthy(err:find(("INFO op[^\n]*task %d here"):format(i)), err) end
    assert.equal(3, select(2, err:gsub("worker %d", "")))
  end)

  it("finalizers and scopes of the program do not run", function()
    local out = program.output [[
      local lk = require "lkrun"
      local collected = setmetatable({}, { __gc = function() print "collected" end })
      do
        local closed <close> = setmetatable({}, { __close = function() print "closed" end })
        local inv <close> = lk.invoker(nil, function(_, task) return task end, { n_jobs = 3 })
        inv:collect { 1, 2, 3 }
      end
      print(collected ~= nil)]]
    assert.equal("closed\ntrue\ncollected\n", out)
  end)

  it("what a task leaves in globals and the model's tables stays there", function()
    local model = { count = 0 }
    local inv <close> = lk.invoker(model, function(m)
      m.count = m.count + 1
      return m.count, processes.own()
    end, { n_jobs = 2 })
    local counts = {} -- of each worker, in no order
    for _, count, pid in inv:map(tasks_to(10)) do
      counts[pid] = counts[pid] or {}
      table.insert(counts[pid], count)
    end
    for _, list in pairs(counts) do
      table.sort(list)
      assert.same(tasks_to(#list), list)
    end
    assert.equal(0, model.count)
    local here <close> = lk.invoker(model, function(m) m.count = m.count + 1 end, { n_jobs = 1 })
    here:collect(tasks_to(10))
    assert.equal(10, model.count)
  end)

  it("files that the program has open are open", function()
    local file = assert(io.open("/proc/self/cmdline"))
    finally(function() file:close() end)
    local inv <close> = lk.invoker(nil, function() return file:read "a" end, { n_jobs = 2 })
    assert.truthy(inv:collect { 1 }[1]:find "lkrun")
  end)
end)

describe("a hook that a task sets", function()
  local function is_hooked(_, task)
    local hooked = debug.gethook() ~= nil
    debug.sethook(function() end, "", 1000)
    if task % 3 == 0 then error "after it set a hook" end
    return hooked
  end

  for _, workers in ipairs { "processes", "threads" } do
    it("is gone before the next one, in " .. workers, function()
      local inv <close> = lk.invoker(nil, is_hooked, { n_jobs = 2, workers = workers, on_error = "return" })
      local results = inv:collect(tasks_to(100))
      for task = 1, 100 do
        if task % 3 ~= 0 then assert.is_false(results[task]) end
      end
    end)

    it("and that raises even while its error is described is told, in " .. workers, function()
      local inv <close> = lk.invoker(nil, function(_, task)
        if task == 2 then debug.sethook(function() error "at every call" end, "c") end
        return tostring(task)
      end, { n_jobs = 2, workers = workers, on_error = "return" })
      local results = inv:collect { 1, 2, 3 }
      assert.same({ "1", nil, "3" }, { results[1], results[2], results[3] })
      assert.equal("error", results.errors[2].reason)
      assert.matches("^an error that raised another one while it was described: .*at every call$",
        results.errors[2].message)
    end)
  end
end)
