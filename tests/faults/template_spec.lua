-- The template dies, or the host dies or is stopped: which processes go on, and which must not stay behind.
-- runs under: valgrind
local lk = require "lkrun"
local processes = require "tests.support.processes"
local setup = require "tests.faults.setup"
local program = require "tests.support.program"
local fault, clean = setup.fault, setup.clean

local function double(_, n)
  if n == "die" then fault.kill(fault.pid(), "KILL") end
  return n * 2
end

local KILLED = "workers cannot start: the template process was killed (SIGKILL); make a new invoker"

local function invoker_and_template(options)
  local inv = lk.invoker({}, double, options)
  return inv, inv:stats().template
end

describe("the template killed", function()
  it("leaves the workers that are there", clean(function()
    local made, template = invoker_and_template { n_jobs = 2, on_error = "return" }
    local inv <close> = made
    processes.await_workers(inv)
    fault.kill(template, "KILL")
    setup.assert_goes_on(inv)
    local results, errors, count = setup.gather(inv:map { 1, "die", 3, 4 })
    assert.equal(4, count)
    assert.equal("signal", errors[2].reason)
    errors[2] = nil
    assert.same({}, errors)
    assert.equal(8, results[4])
    setup.assert_goes_on(inv) -- one worker is left
  end))

  it("and the last worker too, ends the map with the reason", clean(function()
    local made, template = invoker_and_template { n_jobs = 2, on_error = "return" }
    local inv <close> = made
    processes.await_workers(inv)
    fault.kill(template, "KILL")
    setup.eventually(function() return (setup.state(template) or "Z") == "Z" end, "the template's end")
    local ok, message = pcall(function() -- which two tasks are begun is up to the race
      for _, _, err in inv:map { "die", "die", "die" } do assert.equal("signal", err.reason) end
    end)
    assert.is_false(ok)
    assert.equal("lkrun: invoker: " .. KILLED, message)
    assert.equal(2, inv:stats().crashes)
    assert.has_error(function() inv:map { 1 } end, "lkrun: invoker:map: " .. KILLED)
    assert.has_error(function() inv:submit(1) end, "lkrun: invoker:submit: " .. KILLED)
  end))

  it("and a worker too, leaves its task to one that waits for room for its results", clean(function()
    local LONG <const> = 1000000 -- bytes of a result; until task 1 has its result, the host stores 64 MiB of these
    local MANY <const> = 68      -- so many results of LONG are more than the host stores
    -- 1: "die" has begun; how many long results there are; 1: "die" has killed its worker; sum of the workers' pids.
    local seen = lk.tensor.zeros { 4, dtype = "i64" }
    local inv <close> = lk.invoker(seen, function(model, task)
      if task == "die" and model:get(1) == 0 then
        model:set(1, 1)
        -- Until the other worker waits for room on its ring.
        while model:get(2) < MANY or setup.state(model:get(4) - fault.pid()) ~= "S" do end
        model:set(3, 1)
        fault.kill(fault.pid(), "KILL")
      end
      if task ~= "long" then return fault.pid() end
      model:set(2, model:get(2) + 1)
      return ("x"):rep(LONG)
    end, { n_jobs = 2, retries = 1, writable = { seen } })
    processes.await_workers(inv)
    local workers = inv:stats().workers
    seen:set(4, workers[1].pid + workers[2].pid)
    fault.kill(inv:stats().template, "KILL")
    local pulled, expected = 0, 1
    for i, result in inv:map(function()
      pulled = pulled + 1
      if pulled == 1 then return "die" end
      if pulled <= 1000 then return "short" end -- short tasks, so that a worker is given many at a time
      return seen:get(3) == 0 and "long" or nil
    end) do
      assert.equal(expected, i)
      assert.equal(i <= 1000 and "integer" or LONG, i <= 1000 and math.type(result) or #result)
      expected = expected + 1
    end
    assert.equal(pulled, expected)
    assert.is_true(expected > 1000 + MANY)
  end))

  it("before it could make workers, does not leave the caller waiting", clean(function()
    for _ = 1, 10 do
      local made, template = invoker_and_template { n_jobs = 4 }
      local inv <close> = made
      fault.kill(template, "KILL")
      -- How many workers there are is a race: the template may have died before it forked all of them.
      local ok, message = pcall(setup.assert_goes_on, inv)
      assert.truthy(ok or message == "lkrun: invoker: " .. KILLED, message)
    end
  end))

  it("while a future waits", clean(function()
    local made, template = invoker_and_template { n_jobs = 2 }
    local inv <close> = made
    processes.await_workers(inv)
    fault.kill(template, "KILL")
    setup.eventually(function() return (setup.state(template) or "Z") == "Z" end, "the template's end")
    local first = inv:submit "die"
    assert.equal("signal", select(2, pcall(first.get, first)).reason)
    local second, third = inv:submit "die", inv:submit(3) -- both for the worker that is left
    assert.equal("signal", select(2, pcall(second.get, second)).reason)
    assert.has_error(function() third:get() end, "lkrun: future:get: " .. KILLED)
  end))
end)

describe("the host", function()
  -- A program whose three workers are stuck in tasks, one of them in a program that its task started. When all
  -- have begun, it writes its own pid and those of its children.
  local stuck = setup.prelude .. [[
    local begun = lk.tensor.zeros { 3 }
    local inv = lk.invoker({}, function(_, n)
      begun:set(n, 1)
      if n == 1 then os.execute "exec tail -f /dev/null" end
      if n == 2 then fault.spin() end
      fault.stuck()
    end, { n_jobs = 3, writable = { begun } })
    for n = 1, 3 do inv:submit(n) end
    local last = inv:submit(4)
    repeat last:done() fault.nap() until begun:get(1) + begun:get(2) + begun:get(3) == 3
    local function children(pid)
      local file <close> = io.open(("/proc/%d/task/%d/children"):format(pid, pid))
      return file:read "a"
    end
    local sleeper = ""
    repeat
      last:done()
      for _, worker in ipairs(inv:stats().workers) do
        if worker.pid > 0 then sleeper = sleeper .. children(worker.pid) end
      end
    until sleeper:find "%d"
    local workers = children(fault.pid()):gsub("%f[%d]" .. inv:stats().template .. "%f[^%d]", "")
    print(fault.pid(), inv:stats().template, workers, sleeper)
    io.stdout:flush()
  ]]

  local function run(last)
    local script <close> = setup.file(stuck .. last)
    local pipe <close> = io.popen("exec " .. program.quote(program.executable) .. " " .. script.path)
    local pids = {}
    for pid in pipe:read "l":gmatch "%d+" do pids[#pids + 1] = math.tointeger(pid) end
    assert.equal(6, #pids) -- itself, its template, three workers, the program of one of them
    return pids
  end

  local function assert_all_end(pids)
    for _, pid in ipairs(pids) do
      setup.eventually(function() return (setup.state(pid) or "Z") == "Z" end, "the end of process " .. pid)
    end
  end

  for kind, option in pairs { forked = "n_jobs = 3", spawned = "n_jobs = 3, workers = 'spawn'" } do
    it("killed takes all its processes along, workers " .. kind, clean(function()
      local script <close> = setup.file(stuck:gsub("n_jobs = 3", option) .. "last:get()")
      local pipe = io.popen("exec " .. program.quote(program.executable) .. " " .. script.path)
      local pids = {}
      for pid in pipe:read "l":gmatch "%d+" do pids[#pids + 1] = math.tointeger(pid) end
      assert.equal(6, #pids) -- itself, its template or 0, three workers, the program of one of them
      fault.kill(pids[1], "KILL")
      assert_all_end(pids)
      pipe:close()
    end))
  end

  it("killed by itself takes all its processes along", clean(function()
    assert_all_end(run "fault.kill(fault.pid(), 'KILL')")
  end))

  it("that leaves without a word takes all its processes along", clean(function()
    assert_all_end(run "fault.leave(0)")
  end))

  it("that ends takes all its processes along", clean(function()
    assert_all_end(run "")
  end))

  it("killed, and its template too, leaves no worker", clean(function()
    local script <close> = setup.file(stuck .. "last:get()")
    local pipe = io.popen("exec " .. program.quote(program.executable) .. " " .. script.path)
    local pids = {}
    for pid in pipe:read "l":gmatch "%d+" do pids[#pids + 1] = math.tointeger(pid) end
    fault.kill(pids[2], "STOP")
    fault.kill(pids[1], "KILL")
    fault.kill(pids[2], "KILL")
    for i = 3, 5 do assert_all_end { pids[i] } end
    fault.kill(pids[6], "KILL") -- a program that a task started: only the template would have ended it
    pipe:close()
  end))

  it("stopped and continued loses nothing", clean(function()
    local result = program.run(setup.prelude .. [[
      local inv <close> = lk.invoker({}, function(_, n) return n * 2 end, { n_jobs = 2 })
      local host, sum = fault.pid(), 0
      local flag = os.tmpname() -- while the file is there, the watcher goes on
      local watcher = fault.fork()
      if watcher == 0 then -- stops the host now and then; whenever it has, it lets the host go on
        while os.rename(flag, flag) do
          fault.kill(host, "STOP")
          fault.nap()
          fault.kill(host, "CONT")
          fault.nap()
        end
        fault.leave(0)
      end
      for i, result in inv:map(function(_, last) last = (last or 0) + 1 return last <= 50000 and last or nil end) do
        assert(result == 2 * i)
        sum = sum + result
      end
      os.remove(flag)
      fault.wait(watcher)
      print(sum)]])
    assert.equal("", result.err)
    assert.equal("2500050000\n", result.out)
  end))
end)

describe("an invoker that a task makes", function()
  it("works beside many other invokers of the program", clean(function()
    local others <close> = setmetatable({}, { __close = function(list)
      for _, inv in ipairs(list) do inv:shutdown() end
    end })
    for i = 1, 4 do others[i] = lk.invoker({}, double, { n_jobs = 2 }) end
    local inv <close> = lk.invoker({}, function(_, n)
      local inner <close> = lk.invoker({}, function(_, m)
        local sum = 0
        for i = 1, 200000 do sum = sum + i % m end -- long enough for a second worker to be made meanwhile
        return m
      end, { n_jobs = 3 })
      local sum = 0
      for _, m in inner:map { 1, 2, 3, 4, 5, 6 } do sum = sum + m end
      return sum * n
    end, { n_jobs = 2 })
    for _ = 1, 5 do assert.same({ 21, 42, 63, n = 3, errors = {} }, inv:collect { 1, 2, 3 }) end
  end))
end)
