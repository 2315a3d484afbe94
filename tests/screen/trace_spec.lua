local lk = require "lkrun"
local await = require "tests.support.await"
local processes = require "tests.support.processes"
local program = require "tests.support.program"

local paths = {}

local function new_path()
  local path = os.tmpname()
  paths[#paths + 1] = path
  return path
end

-- The events of a timeline, which must be whole JSON.
local function events_of(path) return lk.json.decode(assert(processes.read(path))) end

-- The events of a timeline whose program was killed, perhaps in a write: the bracket at its end may be missing.
local function events_until_killed(path)
  local text = processes.read(path)
  local good, events = pcall(lk.json.decode, text)
  return good and events or lk.json.decode(text:gsub(",?%s*$", "") .. "]")
end

-- Those of the events that have these fields.
local function select_events(events, fields)
  local list = {}
  for _, event in ipairs(events) do
    local fits = true
    for name, value in pairs(fields) do fits = fits and event[name] == value end
    if fits then list[#list + 1] = event end
  end
  return list
end

-- The events of tasks of a map, without those of submitted tasks.
local function tasks_of_maps(events)
  local list = {}
  for _, event in ipairs(select_events(events, { cat = "task" })) do
    if event.args.map > 0 then list[#list + 1] = event end
  end
  return list
end

local function indices(events)
  local set, count = {}, 0
  for _, event in ipairs(events) do
    set[event.args.index] = (set[event.args.index] or 0) + 1
    count = count + 1
  end
  return set, count
end

-- Runs a program with LK_TRACE and gives its events.
local function traced(code, options)
  options = options or {}
  local path = new_path()
  options.env = options.env or {}
  options.env.LK_TRACE = path
  local result = program.run("local lk = require 'lkrun'\n" .. code, options)
  return events_of(path), result, path
end

local function run_command(path, arguments)
  return program.shell(("LANG=C LC_ALL=C $LKRUN trace %s %s"):format(path, arguments or ""))
end

describe("a timeline", function()
  teardown(function()
    for _, path in ipairs(paths) do os.remove(path) end
  end)

  it("has a span for every task, in the row of its worker, within its map", function()
    local path = new_path()
    local inv <close> = lk.invoker(nil, function(_, i) return i end, { n_jobs = 2, trace = path })
    processes.await_workers(inv)
    local results = inv:collect(lk.tensor.arange(2000, "i64"):totable())
    assert.equal(2000, results.n)
    inv:shutdown()
    local events = events_of(path)
    local tasks = tasks_of_maps(events)
    local set, count = indices(tasks)
    assert.equal(2000, count)
    for i = 1, 2000 do assert.equal(1, set[i]) end
    local map = select_events(events, { cat = "map" })
    assert.equal(1, #map)
    for _, task in ipairs(tasks) do
      assert.is_true(task.tid == 1 or task.tid == 2)
      assert.equal("task " .. task.args.index, task.name)
      assert.is_true(task.ts >= map[1].ts and task.ts + task.dur <= map[1].ts + map[1].dur)
    end
    assert.is_true(#select_events(events, { cat = "dispatch", tid = 0 }) > 0)
    assert.equal(2, #select_events(events, { cat = "start" }))
    local names = select_events(events, { name = "thread_name" })
    assert.same({ "host", "worker 1", "worker 2" }, { names[1].args.name, names[2].args.name, names[3].args.name })
    assert.matches("^invoker 1 .*trace_spec.lua:%d+$", select_events(events, { name = "process_name" })[1].args.name)
  end)

  it("does not let the tasks of a row overlap", function()
    local events = traced [[
      local inv <close> = lk.invoker(nil, function(_, i) for _ = 1, i % 1000 do end end, { n_jobs = 2 })
      inv:collect(lk.tensor.arange(3000, "i64"):totable())]]
    for row = 1, 2 do
      local spans = select_events(events, { tid = row, ph = "X" })
      table.sort(spans, function(a, b) return a.ts < b.ts end)
      for i = 2, #spans do assert.is_true(spans[i].ts >= spans[i - 1].ts + spans[i - 1].dur - 0.0015) end
    end
  end)

  it("names failures, crashes and retries", function()
    local events, result = traced [[
      local inv <close> = lk.invoker(os.tmpname(), function(path, i)
        if i == 3 then error "no" end
        if i == 5 and os.remove(path) then os.execute "kill -9 $PPID" end
      end, { n_jobs = 2, retries = 1, on_error = "return" })
      local processes = require "tests.support.processes"
      processes.await_workers(inv)
      for i, _, err in inv:map { 1, 2, 3, 4, 5, 6 } do if err then print(i) end end
      processes.await_workers(inv)]]
    assert.equal("3\n", result.out)
    local crash = select_events(events, { cat = "crash" })
    assert.equal(1, #crash)
    assert.equal(5, crash[1].args.index)
    assert.matches("SIGKILL", crash[1].args.how)
    assert.equal(5, select_events(events, { cat = "retry" })[1].args.index)
    local tasks = tasks_of_maps(events)
    local set = indices(tasks)
    assert.same({ 1, 1, 1, 1, 2, 1 }, set)
    for _, task in ipairs(tasks) do
      assert.equal(task.args.index == 3 and 1 or nil, task.args.error)
      if task.args.crash then assert.equal(5, task.args.index) end
    end
    assert.equal(3, #select_events(events, { cat = "start" }))
  end)

  it("has counters, the caller's code, and waiting", function()
    local events = traced [[
      local function spin(seconds)
        local start = lk.clock()
        repeat until lk.clock() - start > seconds
      end
      local inv <close> = lk.invoker(nil, function(_, i) spin(0.02) return ("x"):rep(1000) end, { n_jobs = 2 })
      for _ in inv:map { 1, 2, 3, 4 } do spin(0.001) end]]
    assert.is_true(#select_events(events, { cat = "caller" }) >= 4)
    assert.is_true(#select_events(events, { cat = "wait" }) > 0)
    local bytes = select_events(events, { ph = "C", name = "bytes" })
    assert.is_true(bytes[#bytes].args.received > 3000)
    assert.is_true(#select_events(events, { ph = "C", name = "tasks ahead" }) > 0)
  end)

  it("has the rows of threads, of spawned processes, and of one job", function()
    for _, workers in ipairs { "processes", "threads", "spawn" } do
      local path = new_path()
      local inv <close> = lk.invoker(nil, function(_, i) return i end, { n_jobs = 2, workers = workers, trace = path })
      inv:collect { 1, 2, 3 }
      assert.equal(7, inv:submit(7):get())
      inv:shutdown()
      local tasks = select_events(events_of(path), { cat = "task" })
      assert.equal(4, #tasks, workers)
      assert.equal(1, #select_events(tasks, { name = "submitted 1" }), workers)
    end
    local path = new_path()
    local inv <close> = lk.invoker(nil, function(_, i) return i end, { n_jobs = 1, trace = path })
    inv:collect { 1, 2, 3 }
    inv:shutdown()
    assert.equal(3, #select_events(events_of(path), { cat = "task", tid = 0 }))
  end)

  it("holds all invokers of a program, also one after the other", function()
    local events = traced [[
      for _ = 1, 2 do
        local inv <close> = lk.invoker(nil, function() end, { n_jobs = 2 })
        inv:collect { 1, 2 }
      end
      local a <close> = lk.invoker(nil, function() end, { n_jobs = 2 })
      local b <close> = lk.invoker(nil, function() end, { n_jobs = 2 })
      a:collect { 1 }
      b:collect { 1 }]]
    assert.equal(4, #select_events(events, { name = "process_name" }))
    for number, count in ipairs { 2, 2, 1, 1 } do
      assert.equal(count, #select_events(events, { cat = "task", pid = number }))
    end
  end)

  it("names an invoker by the line of the program that asked for it", function()
    local events = traced [[
      local function make() return lk.invoker(nil, function() end, { n_jobs = 1 }) end
      local tail = make() -- has left
      local ratings = lk.sparse.csr({ 1, 2, 3 }, { 1, 2, 3 }, { 1, 1, 1 }, { 3, 3 })
      require("lkrec.als.implicit").train(ratings, { factors = 2, epochs = 1, n_jobs = 2 })]]
    local names = select_events(events, { name = "process_name" })
    assert.matches("^invoker 1 .*:3$", names[1].args.name)
    for i = 2, #names do assert.matches("^invoker " .. i .. " .*:5$", names[i].args.name) end
    assert.is_true(#names > 1)
  end)

  it("is the program's: an invoker in a task writes none of its own", function()
    local events, result = traced [[
      local inv <close> = lk.invoker(nil, function(_, i)
        local inner <close> = lk.invoker(nil, function(_, k) return k end, { n_jobs = 2 })
        return inner:collect { 1, 2, i }[3]
      end, { n_jobs = 2 })
      print(inv:collect { 1, 2 }[2])]]
    assert.equal("2\n", result.out)
    assert.equal(1, #select_events(events, { name = "process_name" }))
    assert.equal(2, #select_events(events, { cat = "task" }))
  end)

  it("is JSON but for its last bracket when the program is killed", function()
    local path, gate = new_path(), new_path()
    os.remove(gate)
    os.remove(path)
    local script = new_path()
    do
      local file <close> = io.open(script, "w")
      file:write(([[
        local lk = require "lkrun"
        local n = 0
        local inv <close> = lk.invoker(nil, function(_, i) return i end, { n_jobs = 2 })
        for i in inv:map(function() n = n + 1 return n end) do end]]))
    end
    os.execute(("LK_TRACE=%s %s %s & echo $! >%s"):format(path, program.quote(program.executable), script, gate))
    local pid = await(function() return tonumber(processes.read(gate) or "") end, "the program's pid")
    await(function() return #(processes.read(path) or "") > 100000 end, "a timeline that grows")
    os.execute("kill -9 " .. pid)
    await(function() return not processes.runs(pid) end, "the end of the program")
    local events = events_until_killed(path)
    assert.is_true(#select_events(events, { cat = "task" }) > 100)
    assert.equal(0, run_command(path).status)
  end)

  it("is asked for by an option before the variable", function()
    local path = new_path()
    local events = traced(([[
      local inv <close> = lk.invoker(nil, function() end, { n_jobs = 2, trace = %q })
      inv:collect { 1, 2, 3 }
      inv:shutdown()
      local other <close> = lk.invoker(nil, function() end, { n_jobs = 2 })
      other:collect { 1 }]]):format(path))
    assert.equal(1, #select_events(events, { cat = "task" }))
    assert.equal(3, #select_events(events_of(path), { cat = "task" }))
  end)

  it("that cannot be written is an error of the option, and a warning of the variable", function()
    local ok, err = pcall(lk.invoker, nil, function() end, { n_jobs = 2, trace = "/nonexistent/x.json" })
    assert.is_false(ok)
    assert.equal("lkrun: lk.invoker: trace: the timeline /nonexistent/x.json cannot be written: "
      .. "No such file or directory", tostring(err))
    assert.is_false(pcall(lk.invoker, nil, function() end, { trace = 1 }))
    local result = program.run([[
      local lk = require "lkrun"
      for _ = 1, 2 do
        local inv <close> = lk.invoker(nil, function(_, i) return i end, { n_jobs = 2 })
        print(inv:collect { 7 }[1])
      end]], { env = { LK_TRACE = "/dev/null" } })
    assert.equal("7\n7\n", result.out)
    local _, warnings = result.err:gsub(
      "LK_TRACE: the timeline /dev/null cannot be written: it is not a regular file", "")
    assert.equal(1, warnings)
  end)

  it("is not shared with another program at the same time", function()
    local _, result = traced [[
      local inv <close> = lk.invoker(nil, function() end, { n_jobs = 2 })
      inv:collect { 1 }
      os.execute("'" .. arg[-1] .. "' -e \"require 'lkrun'.map(nil, print, {}, {n_jobs = 2})\"")]]
    assert.matches("another program is writing it", result.err)
  end)
end)

describe("lkrun trace", function()
  it("tells utilization, the longest tasks, imbalance, and what the host waited for", function()
    local path = new_path()
    do
      local file <close> = io.open(path, "w")
      local function span(row, category, name, begun, length, arguments)
        return ('{"ph":"X","pid":1,"tid":%d,"ts":%d,"dur":%d,"cat":"%s","name":"%s","args":%s}'):format(
          row, begun, length, category, name, arguments or "{}")
      end
      local function task(row, index, begun, length, more)
        return span(row, "task", "task " .. index, begun, length, ('{"index":%d,"map":1%s}'):format(index, more or ""))
      end
      file:write("[\n", table.concat({
        '{"ph":"M","pid":1,"tid":0,"name":"process_name","args":{"name":"invoker 1 fit.lua:3","jobs":2}}',
        task(1, 1, 0, 900000), task(2, 2, 0, 100000), task(2, 3, 100000, 400000, ',"error":1'),
        span(0, "wait", "waits for task 1", 0, 900000, '{"index":1,"worker":1}'),
        span(0, "map", "map 1", 0, 1000000),
      }, ",\n"), "\n]\n")
    end
    local result = run_command(path, "--longest 2")
    assert.equal(0, result.status)
    assert.equal("", result.err)
    assert.equal([[
invoker 1  fit.lua:3
  3 tasks (1 failed): median 400 ms, 90 % within 900 ms, longest 900 ms
  utilization 70 %: 1.4 s of work in 1 s on 2 workers
  imbalance 29 %: the busiest worker over the mean

  worker 1   ####################################      90 %  1 task
  worker 2   ####################                      50 %  2 tasks
             0 s                                  1 s

  the longest tasks
    task 1           900 ms    worker 1  at 0 s
    task 3           400 ms    worker 2  at 100 ms  (error)

  the host waited 900 ms (90 % of the time), dispatched 0 s, was in the caller's code 0 s
    for task 1        900 ms

  some workers had nothing left at the end: hand out the longest tasks first, or make them smaller
]], result.out)
  end)

  it("summarizes what was traced, with blocks where the locale has them", function()
    local _, _, path = traced [[
      local inv <close> = lk.invoker(nil, function(_, i) if i == 9 then os.exit(3) end return i end,
        { n_jobs = 2, on_error = "return" })
      inv:collect(lk.tensor.arange(100, "i64"):totable())
      local own <close> = lk.invoker(nil, function() end, { n_jobs = 1 })
      own:collect { 1 }]]
    local result = program.shell("LC_ALL=C.UTF-8 $LKRUN trace " .. path)
    assert.equal(0, result.status)
    assert.matches("invoker 1 .*100 tasks %(1 failed, 1 crash%)", result.out)
    assert.matches("workers that died\n    worker %d at .* in task 9: exit status 3", result.out)
    assert.matches("[▁▂▃▄▅▆▇█]", result.out)
    assert.matches("\n\ninvoker 2 .*in place", result.out)
  end)

  it("refuses what is not a timeline", function()
    for _, path in ipairs { "Makefile", "/nonexistent", "/dev/null" } do
      local result = run_command(path)
      assert.equal(2, result.status)
      assert.matches("^lkrun: trace: .*expected a timeline that LK_TRACE made\n$", result.err)
    end
  end)
end)
