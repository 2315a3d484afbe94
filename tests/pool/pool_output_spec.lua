local program = require "tests.support.program"
local terminal = require "tests.support.terminal"

local function lines_of(text)
  local lines = {}
  for line in text:gmatch "[^\n]+" do lines[#lines + 1] = line end
  return lines
end

local function run(code, env)
  local result = program.run("local lk = require 'lkrun'\n" .. code, { env = env })
  assert.equal(0, result.status, result.err)
  return result
end

describe("log records of workers", function()
  it("arrive whole, in order per worker, with level, logger, worker and task", function()
    local result = run [[
      local log = lk.log.get "train"
      local function op(_, task)
        for i = 1, 20 do log:info("task %d part %d %s", task, i, ("x"):rep(task * i % 5000)) end
        log:warn "first\nsecond"
        log:debug "not shown"
        return task
      end
      local tasks = {}
      for i = 1, 60 do tasks[i] = i end
      for i, result in lk.map(nil, op, tasks, {n_jobs = 3}) do assert(result == i) end]]
    local next_part, tasks, warnings = {}, {}, 0
    for _, line in ipairs(lines_of(result.err)) do
      local worker, task, number, part, tail =
        line:match "^[%d:.]+ INFO train %[worker (%d+), task (%d+)%]: task (%d+) part (%d+) (x*)$"
      if worker then
        assert.equal(task, number)
        assert.equal(task * part % 5000, #tail)
        assert.equal(next_part[task] or 1, tonumber(part))
        assert.equal(tasks[worker] or task, task)
        next_part[task] = part + 1
        tasks[worker] = next_part[task] <= 20 and task or nil
      elseif line:find "WARN" then
        assert.matches("^[%d:.]+ WARN train %[worker %d+, task %d+%]: first$", line)
      elseif line ~= "    second" then
        assert.matches("INFO lkrun: ", line)
      else
        warnings = warnings + 1
      end
    end
    assert.equal(60, warnings)
    for task = 1, 60 do assert.equal(21, next_part[tostring(task)]) end
  end)

  it("follow the level that the program had when it made the invoker", function()
    local result = run [[
      lk.log.set_level "error"
      for _ in lk.map(nil, function() lk.log.get "x":warn "no" lk.log.get "x":error "yes" end, {1}, {n_jobs = 2}) do
      end]]
    assert.matches("^[%d:.]+ ERROR x %[worker %d, task 1%]: yes\n$", result.err)
  end)
end)

describe("what workers print", function()
  it("comes out line by line, Lua's and child programs', in the order of the task", function()
    local result = run [[
      local function op(_, task)
        print("print", task)
        io.write("write ") io.write(task, "\n")
        os.execute("echo child " .. task)
        io.stdout:write("end ", task, "\n")
        io.stderr:write("error ", task, "\n")
        warn "@on" warn("of C " .. task)
        return task
      end
      local tasks = {}
      for i = 1, 50 do tasks[i] = i end
      for i in lk.map(nil, op, tasks, {n_jobs = 2}) do end]]
    local of = {}
    for _, line in ipairs(lines_of(result.out)) do
      local what, task = line:match "^(%a+)%s(%d+)$"
      if not what then what, task = line:match "^(child) (%d+)$" end
      assert.is_truthy(what, line)
      of[task] = (of[task] or "") .. what .. " "
    end
    for task = 1, 50 do assert.equal("print write child end ", of[tostring(task)]) end
    for task = 1, 50 do
      local err = "\n" .. result.err
      local first, second = ("\nerror %d\n"):format(task), ("\nLua warning: of C %d\n"):format(task)
      assert.is_true(err:find(first, 1, true) < err:find(second, 1, true))
    end
  end)

  it("is there before the result of the task", function()
    local result = run [[
      local function op(_, task) print("in task " .. task) return task end
      for i in lk.map(nil, op, {1, 2, 3, 4, 5, 6}, {n_jobs = 2}) do print("result " .. i) end]]
    for task = 1, 6 do
      local printed = result.out:find("in task " .. task, 1, true)
      local delivered = result.out:find("result " .. task, 1, true)
      assert.is_true(printed < delivered, result.out)
    end
  end)

  it("ends with a newline where the task did not write one", function()
    local result = run [[
      for _ in lk.map(nil, function(_, task) io.write("end ", task) end, {1}, {n_jobs = 2}) do end
      print "next"]]
    assert.equal("end 1\nnext\n", result.out)
  end)
end)

describe("progress", function()
  local quiet = [[
    local function op(_, task) return task end
    local tasks = {1, 2, 3, 4}
  ]]

  it("of a map counts what was dispatched, begun and finished", function()
    for _, jobs in ipairs { 1, 2 } do
      local result = run(quiet .. ([[
        local p = lk.invoke_progress{label = "map", total = 4}
        do
          local inv <close> = lk.invoker(nil, op, {n_jobs = %d, progress = p})
          for i in inv:map(tasks) do end
        end
        print(p.dispatched, p.in_progress, p.finished)
        p:finish()]]):format(jobs))
      assert.equal("0\t0\t4\n", result.out)
      assert.matches("INFO progress: map: 4/4 tasks %(100%%%) in", result.err)
    end
  end)

  it("is one bar by default with progress = true", function()
    local result = run(quiet .. "for i in lk.map(nil, op, tasks, {n_jobs = 2, progress = true}) do end")
    assert.equal(1, select(2, result.err:gsub("INFO progress: 4/4 tasks %(100%%%) in", "")))
    result = program.run("local lk = require 'lkrun'\n" .. quiet .. [[
      for i in lk.map(nil, op, tasks, {n_jobs = 2, progress = true}) do end]], { env = { LK_PROGRESS = "fancy" } })
    assert.equal(1, result.status)
    assert.matches('lkrun: LK_PROGRESS: "fancy" is not a way', result.err, 1, true)
  end)

  it("of the parent is not a task's to move", function()
    local result = run [[
      local p <close> = lk.invoke_progress{total = 4}
      local function op() return select(2, pcall(p.update, p, 1)) end
      for _, message in lk.map(nil, op, {1}, {n_jobs = 2}) do print(message) end]]
    assert.equal("lkrun: progress: the display was made by the parent process; make one in the task with " ..
      "lk.invoke_progress, or give it to the invoker\n", result.out)
  end)

  it("of tasks is written by the parent alone in LK_PROGRESS_DIR", function()
    local folder = os.tmpname()
    os.remove(folder)
    assert(os.execute("mkdir " .. folder))
    run([[
      local function op(_, task)
        local p <close> = lk.invoke_progress{label = "inner " .. task, total = 2}
        local start = lk.clock()
        while lk.clock() < start + 0.5 do p:update(0) end
        p:update(2)
      end
      for i in lk.map(nil, op, {1, 2}, {n_jobs = 2, progress = true}) do end]], { LK_PROGRESS_DIR = folder })
    local names = {}
    for name in io.popen("ls " .. folder):lines() do names[#names + 1] = name end
    local file <close> = assert(io.open(folder .. "/" .. names[1]))
    local text = file:read "a"
    os.execute("rm -r " .. folder)
    assert.equal(1, #names)
    for task = 1, 2 do
      assert.matches('"worker":%d,"logger":null,"label":"inner ' .. task .. '",[^\n]*"finished":2,', text)
    end
    local lines = lines_of(text)
    assert.matches('"label":null,"unit":"tasks","total":2,"dispatched":0,"in_progress":0,"finished":0,', lines[1],
      1, true)
    assert.matches('"finished":2,.*"ended":true}$', lines[#lines])
  end)
end)

describe("on a terminal", function()
  it("output of workers goes above the bar, whole", function()
    local t <close> = terminal.run([[
      local log = lk.log.get "x"
      local function op(_, task)
        print("<" .. task .. " print>")
        os.execute("echo '<" .. task .. " child>'")
        log:info("<%d log>", task)
        return task
      end
      local tasks = {}
      for i = 1, 60 do tasks[i] = i end
      for i in lk.map(nil, op, tasks, {n_jobs = 2, progress = true}) do print("<" .. i .. " result>") end]],
      { rows = 400, columns = 100 })
    local screen = t:expect "status 0"
    local seen = {}
    for _, line in ipairs(lines_of(screen)) do
      local what = line:match "^(<%d+ %a+>)$" or line:match "^[%d:.]+ INFO x %[worker %d, task %d+%]: (<%d+ log>)$"
      if what then
        seen[what] = (seen[what] or 0) + 1
      else
        assert.is_truthy(line:find "^%S+ INFO lkrun: " or line:find "^100%% .*60/60 tasks" or line == "status 0", line)
      end
    end
    for task = 1, 60 do
      for _, what in ipairs { "print", "child", "log", "result" } do
        assert.equal(1, seen[("<%d %s>"):format(task, what)], what .. task)
      end
    end
  end)

  -- A map of two tasks under a bar, each with a display of its own that waits at its gate.
  local nested = [[
    local function op(_, task)
      local p <close> = lk.invoke_progress{label = "inner " .. task, total = 4}
      p:update(2)
      wait(p, tostring(task))
      if task == 2 then error "no two" end
    end
    local p <close> = lk.invoke_progress{label = "outer", total = 2}
    local inv <close> = lk.invoker(nil, op, {n_jobs = 2, progress = p, on_error = os.getenv "ON_ERROR"})
    for i in inv:map {1, 2} do end
    wait(p, "end")]]

  it("a display made in a task is shown below the bar while it lives", function()
    local t <close> = terminal.run(nested, { env = { ON_ERROR = "return" } })
    t:expect(function(text)
      return text:find "^outer               0%%[^\n]*\nworker 1: inner %d  50%%[^\n]*\nworker 2: inner %d  50%%[^\n]*$"
    end)
    t:open_gate "1"
    t:expect(function(text) return text:find "^outer              50%%[^\n]*\nworker %d: inner 2  50%%[^\n]*$" end)
    t:open_gate "2"
    t:expect(function(text) return text:find "^outer 100%%[^\n]*$" end)
    t:open_gate "end"
    assert.matches("^outer 100%%[^\n]*\nstatus 0$", (t:expect "status 0"))
  end)

  it("bars below each other begin and end together, at every width", function()
    local t <close> = terminal.run(nested, { env = { ON_ERROR = "return", LANG = "C" }, columns = 100 })
    local labels = { -- as there is room for them in so many columns
      [100] = "worker 1: inner %d", [80] = "worker 1: inner %d", [40] = "1: inner %d", [30] = "1: inner %d",
      [14] = "1: [a-z]*%.?",
    }
    for _, columns in ipairs { 100, 30, 80, 14, 40 } do
      t:resize(columns)
      t:expect(function(text)
        local lines, bars = {}, {}
        for line in text:gmatch "[^\n]+" do
          lines[#lines + 1] = line
          local from, to = line:find "%[.*%]"
          bars[from and ("%d-%d"):format(from, to) or "none"] = true
        end
        local where = next(bars)
        return #lines == 3 and next(bars, where) == nil and (where == "none") == (columns == 14)
          and lines[1]:find "^out" and lines[2]:find("^" .. labels[columns] .. " +50%%")
          and (columns < 80 or lines[3]:find("2/4 tasks", 1, true))
      end)
    end
    t:open_gate "1"
    t:open_gate "2"
    t:open_gate "end"
    t:expect "status 0"
  end)

  it("an error in a task ends its display, the map's and the program in order", function()
    local t <close> = terminal.run(nested, { env = { ON_ERROR = "raise" } })
    t:expect "worker 2: inner"
    t:open_gate "1"
    t:open_gate "2"
    local screen = t:expect "status 1"
    assert.is_nil(screen:find("worker %d: inner"))
    assert.matches("^outer 100%%[^\n]*\nlkrun: task 2 %(worker %d%): .*no two\n.*\nstatus 1$", screen)
  end)

  it("the display of a worker that dies goes with it", function()
    local t <close> = terminal.run [[
      local function op(_, task)
        local p <close> = lk.invoke_progress{label = "inner", total = 4}
        wait(p, tostring(task))
        os.execute "kill -9 $PPID"
      end
      local p <close> = lk.invoke_progress{label = "outer", total = 1}
      local inv <close> = lk.invoker(nil, op, {n_jobs = 2, progress = p, on_error = "return"})
      for i, _, err in inv:map {1} do print(err.reason) end
      wait(p, "end")]]
    t:expect(function(text) return text:find "worker %d: inner" end) -- either worker may have begun the task
    t:open_gate "1"
    t:expect(function(text) return text:find "^signal\nouter [^\n]*$" end)
    t:open_gate "end"
    t:expect "status 0"
  end)

  it("Ctrl-C in the middle of a map leaves the terminal in order", function()
    local t <close> = terminal.run [[
      local function op(_, task) wait(lk.invoke_progress{label = "inner"}) return task end
      for i in lk.map(nil, op, {1, 2, 3}, {n_jobs = 2, progress = true}) do end]]
    t:expect "worker 2: inner"
    t:keys "C-c"
    local screen = t:expect "status 130"
    assert.is_nil(screen:find("worker", 1, true))
    assert.matches("\nstatus 130$", screen)
  end)
end)
