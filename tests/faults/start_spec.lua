-- Workers that cannot be made: no processes, no descriptors, system calls refused. What fails says why,
-- leaves nothing half-made, and is tried again when the next map begins.
local setup = require "tests.faults.setup"
local program = require "tests.support.program"
local fault, clean = setup.fault, setup.clean

-- For the programs: what an invoker could leave behind, and a map whose results are checked.
local prelude = setup.prelude .. [[
  local function children()
    local file <close> = io.open(("/proc/%d/task/%d/children"):format(fault.pid(), fault.pid()))
    return file:read "a"
  end
  local function held()
    local names = { children() }
    for number, name in pairs(fault.descriptors()) do names[#names + 1] = number .. name end
    table.sort(names)
    return table.concat(names, " ")
  end
  local function double(_, n)
    if n == "die" then fault.kill(fault.pid(), "KILL") end
    return n * 2
  end
  local function check(inv)
    local count = 0
    for i, result in inv:map { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 } do
      assert(result == 2 * i)
      count = count + 1
    end
    assert(count == 10)
  end
]]

-- The leak sanitizer forks and opens files when a program ends, which the limits of these programs refuse.
local NO_LEAK_CHECK = { ASAN_OPTIONS = "detect_leaks=0" }

local function run(code)
  local result = program.run(prelude .. code, { env = NO_LEAK_CHECK })
  assert.equal("exit 0", result.how .. " " .. result.status, result.err)
  return result.out, result.err
end

local NO_PROCESS = "workers cannot start: fork: Resource temporarily unavailable; " ..
  "use fewer workers, or raise the limit on processes (ulimit -u)"

describe("no more processes", function()
  it("at the start: an error, and nothing half-made", clean(function()
    local out, err = run [[
      local inv = lk.invoker({}, double, { n_jobs = 2 }) -- what is made once is made now
      check(inv)
      inv:shutdown()
      local before = held()
      fault.refuse("clone", "EAGAIN")
      for _ = 1, 3 do print(pcall(lk.invoker, {}, double, { n_jobs = 2 })) end
      print(held() == before)]]
    assert.equal(("false\tlkrun: lk.invoker: %s\n"):format(NO_PROCESS):rep(3) .. "true\n", out)
    assert.equal("", err)
  end))

  it("at the start but one: an error, and nothing half-made", clean(function()
    if fault.user() ~= 0 then return pending "limits on the processes of a user of one's own need root" end
    local out = run [[
      local inv = lk.invoker({}, double, { n_jobs = 2 })
      check(inv)
      inv:shutdown()
      local before = held()
      assert(fault.become_nobody())
      fault.limit("nproc", 2) -- this one, and a first worker
      for _ = 1, 3 do print(pcall(lk.invoker, {}, double, { n_jobs = 2 })) end
      print(held() == before)]]
    assert.equal(("false\tlkrun: lk.invoker: %s\n"):format(NO_PROCESS):rep(3) .. "true\n", out)
  end))

  it("for some workers: the others do the work, and a warning says so", clean(function()
    local out, err = run [[
      fault.refuse("clone3", "EAGAIN")
      local inv <close> = lk.invoker({}, double, { n_jobs = 3 })
      check(inv)
      repeat inv:submit(1):get() until inv:stats().workers[1].tasks > 0 and not children():find "%d+ %d+ %d+"
      check(inv)
      print(inv:stats().crashes)]]
    assert.equal("0\n", out)
    for left = 1, 2 do
      local warning = ("WARN lkrun: lk.invoker: %s; %d of 3 workers left\n"):format(NO_PROCESS, left)
      assert.truthy(err:find(warning, 1, true), err)
    end
  end))

  it("for replacements: told when nobody is left, and tried again by the next map", clean(function()
    if fault.user() ~= 0 then return pending "limits on the processes of a user of one's own need root" end
    local out, err = run [[
      assert(fault.become_nobody())
      local inv <close> = lk.invoker({}, double, { n_jobs = 2, on_error = "return" })
      require("tests.support.processes").await_workers(inv)
      assert(fault.limit("nproc", 1, inv:stats().template))
      local ok, message = pcall(function() -- which two tasks are begun is up to the race
        for i, result, err in inv:map { "die", "die", "die" } do assert(err.reason == "signal") end
      end)
      print(ok, message, inv:stats().crashes)
      print(pcall(inv.submit, inv, 1))
      print(pcall(function() for _ in inv:map { 1 } do print "a result" end end))
      assert(fault.limit("nproc", 1000, inv:stats().template))
      check(inv)
      print(inv:submit(4):get(), inv:stats().crashes)]]
    assert.equal(("false\tlkrun: invoker: %s\t2\nfalse\tlkrun: invoker:submit: %s\n"):format(
      NO_PROCESS, NO_PROCESS), out:match "^[^\n]*\n[^\n]*\n")
    assert.equal(("false\tlkrun: invoker: %s\n8\t2\n"):format(NO_PROCESS), out:match "[^\n]*\n[^\n]*\n$")
    assert.truthy(err:find(NO_PROCESS .. "; 1 of 2 workers left\n", 1, true), err)
  end))
end)

describe("workers that end before they are ready", function()
  it("are an error with the reason, and nobody waits", clean(function()
    local out, err = run [[
      local inv = lk.invoker({}, double, { n_jobs = 2 })
      inv:shutdown()
      local before = held()
      fault.refuse("dup2", "KILL") -- which they need for their streams
      inv = lk.invoker({}, double, { n_jobs = 2, on_error = "return" })
      for _ = 1, 2 do print(pcall(function() for _ in inv:map { 1, 2, 3 } do print "a result" end end)) end
      print(pcall(inv.submit, inv, 1))
      print(inv:stats().crashes)
      inv:shutdown()
      print(held() == before)
      check(lk.invoker({}, double, { n_jobs = 1 }))]]
    local why = "workers cannot start: 8 in a row ended before they were ready, the last by SIGSYS"
    assert.equal(("false\tlkrun: invoker: %s\n"):format(why):rep(2) ..
      ("false\tlkrun: invoker:submit: %s\n0\ntrue\n"):format(why), out)
    assert.truthy(err:find(("WARN lkrun: lk.invoker: %s; 1 of 2 workers left\n"):format(why), 1, true), err)
  end))

  it("by os.exit in a module that they load, too", clean(function()
    local module <close> = setup.file "if not in_the_program then os.exit(3) end return { 1 }"
    local out = run(([[
      in_the_program = true
      package.path = %q -- whatever the module's name
      local ends = require "ends"
      local inv <close> = lk.invoker({}, function(_, n) return ends[1] * n end, { n_jobs = 2, workers = "spawn" })
      print(pcall(function() for _ in inv:map { 1, 2, 3 } do print "a result" end end))]]):format(module.path))
    assert.equal("false\tlkrun: invoker: workers cannot start: 8 in a row ended before they were ready, " ..
      "the last by exit status 3\n", out)
  end))
end)

describe("no more descriptors", function()
  for _, kind in ipairs { "processes", "spawn", "threads" } do
    it("at whatever moment: an error, and nothing half-made, workers = " .. kind, clean(function()
      local out = run(([[
        local options = { n_jobs = 2, workers = %q }
        local function double(_, n) return n * 2 end -- needs no module, whose file could not be opened
        local inv = lk.invoker({}, double, options)
        check(inv)
        inv:shutdown()
        local before = held()
        local messages, failed = {}, 0
        for limit = 5, 100 do
          fault.limit("nofile", limit)
          local ok, made = pcall(lk.invoker, {}, double, options)
          fault.limit("nofile", 200)
          if ok then
            check(made)
            made:shutdown()
            break
          end
          failed = failed + 1
          assert(held() == before, "something is left")
          messages[made] = true
        end
        for message in pairs(messages) do print(message) end
        print(failed > 2)]]):format(kind))
      for line in out:gmatch "([^\n]*)\n" do
        assert.truthy(line == "true" or line:find("^lkrun: lk%.invoker: workers cannot start: %g+: " ..
          "Too many open files; use fewer workers, or raise the limit on open files %(ulimit %-n%)$"), line)
      end
      assert.equal("true", out:match "(%l+)\n$")
    end))
  end

  it("from then on: the pool goes on, and dead workers are replaced", clean(function()
    local out = run [[
      local inv <close> = lk.invoker({}, double, { n_jobs = 2, on_error = "return" })
      check(inv)
      fault.limit("nofile", 0)
      for _ = 1, 3 do
        for i, result, err in inv:map { 1, "die", 3 } do
          if i == 2 then print(err.reason, err.signal) else assert(result == 2 * i) end
        end
        check(inv)
      end]]
    assert.equal(("signal\t9\n"):rep(3), out)
  end))

  it("from then on: spawned workers that die are missed, with an error, until there are some", clean(function()
    local out, err = run [[
      local function double(_, n) return n == "die" and os.execute "kill -9 $PPID" or n * 2 end
      local inv <close> = lk.invoker({}, double, { n_jobs = 2, workers = "spawn", on_error = "return" })
      for limit = 0, 40, 4 do
        check(inv)
        fault.limit("nofile", limit)
        print(select(2, pcall(inv.collect, inv, { 1, "die", 3, "die" })))
        print(select(2, pcall(check, inv)))
        fault.limit("nofile", 200)
      end
      check(inv)]]
    local why = "workers cannot start: fcntl: Too many open files; use fewer workers, or raise the limit on " ..
      "open files (ulimit -n)"
    assert.equal("lkrun: invoker:map: " .. why, out:match "^[^\n]*\n([^\n]*)\n")
    assert.truthy(err:find(why .. "; 1 of 2 workers left\n", 1, true), err)
    for line in out:gmatch "[^\n]+" do
      if line:find "^lkrun" then assert.matches("^lkrun: invoker:?m?a?p?: workers cannot start: ", line) end
    end
  end))
end)

describe("a system call refused", function()
  it("memfd_create: an error", clean(function()
    local out, err = run [[
      fault.refuse("memfd_create", "ENOSYS")
      local before = held()
      print(pcall(lk.invoker, {}, double, { n_jobs = 2 }))
      print(pcall(lk.tensor.zeros, { 1000, 1000 }))
      print(held() == before)
      check(lk.invoker({}, double, { n_jobs = 1 }))]]
    assert.equal("false\tlkrun: lk.invoker: workers cannot start: no shared memory: memfd_create: " ..
      "Function not implemented\nfalse\tlkrun: tensor: no room for f64 of [1000, 1000] " ..
      "(8000000 bytes): no shared memory: memfd_create: " ..
      "Function not implemented\ntrue\n", out)
    assert.equal("", err)
  end))

  local TOO_MANY = "eventfd: Too many open files; use fewer workers, or raise the limit on open files (ulimit -n)"
  local refusals = {
    { name = "memfd_create for the rings", call = "memfd_create", reason = "EPERM",
      says = "memfd_create: Operation not permitted" },
    { name = "eventfd", call = "eventfd2", reason = "EMFILE", says = TOO_MANY },
    { name = "clone3", call = "clone3", reason = "EAGAIN", says = { -- that of forked workers is tested above
      spawn = NO_PROCESS:match ": (.*)":gsub("fork", "/proc/self/exe"),
      threads = NO_PROCESS:match ": (.*)":gsub("fork", "pthread_create") } },
  }
  for _, refusal in ipairs(refusals) do
    for _, kind in ipairs { "processes", "spawn", "threads" } do
      local says = type(refusal.says) == "table" and refusal.says[kind] or refusal.says
      if type(says) == "string" then
        it(("%s: an error, and nothing half-made, workers = %s"):format(refusal.name, kind), clean(function()
          local out = run(([[
            local options = { n_jobs = 2, workers = %q }
            local inv = lk.invoker({}, double, options)
            check(inv)
            inv:shutdown()
            local before = held()
            fault.refuse(%q, %q)
            for _ = 1, 2 do print(pcall(lk.invoker, {}, double, options)) end
            print(held() == before)
            check(lk.invoker({}, double, { n_jobs = 1 }))]]):format(kind, refusal.call, refusal.reason))
          assert.equal(("false\tlkrun: lk.invoker: workers cannot start: %s\n"):format(says):rep(2) .. "true\n", out)
        end))
      end
    end
  end

  for _, reason in ipairs { "ENOSYS", "EPERM" } do
    it("pidfd_open, " .. reason .. ": deaths are seen all the same", clean(function()
      local out = run(([[
        fault.refuse("pidfd_open", %q)
        local inv <close> = lk.invoker({}, double, { n_jobs = 2, on_error = "return" })
        for i, result, err in inv:map { 1, "die", 3 } do
          if i == 2 then print(err.reason, err.signal) else assert(result == 2 * i) end
        end
        check(inv)]]):format(reason))
      assert.equal("signal\t9\n", out)
    end))

    it("clone3, " .. reason .. ": an older call makes the workers", clean(function()
      local out, err = run(([[
        fault.refuse("clone3", %q)
        local inv <close> = lk.invoker({}, double, { n_jobs = 3, on_error = "return" })
        for _ = 1, 3 do
          for i, result, err in inv:map { 1, "die", 3 } do
            if i == 2 then print(err.reason, err.signal) else assert(result == 2 * i) end
          end
        end
        check(inv)]]):format(reason))
      assert.equal(("signal\t9\n"):rep(3), out)
      assert.equal("", err)
    end))
  end
end)

describe("the region full", function()
  it("where a model is made, a task sent, a result returned: an error there, and only there", clean(function()
    local result = program.run(prelude .. [[
      print(pcall(lk.tensor.zeros, { 4 << 20 }))
      local inv <close> = lk.invoker({}, function(_, task)
        if type(task) == "number" then return lk.tensor.ones { task } end
        return task:size(1)
      end, { n_jobs = 2, on_error = "return" })
      local tasks = { 1000, n = 10 } -- eight of them fill the region
      for i = 2, 9 do tasks[i] = lk.tensor.ones { 1 << 18 } end
      tasks[10] = 1001
      for i, result, err in inv:map(tasks) do print(i, err and err.message or result:size(1)) end
      for i = 2, 4 do tasks[i] = nil end -- 6 MiB
      collectgarbage()
      collectgarbage()
      for i, result, err in inv:map { 1 << 20, 100000, lk.tensor.ones { 1 << 18 } } do
        print(i, err and err.message or type(result) == "userdata" and result:size(1) or result)
      end]], { env = { LK_REGION_SIZE = tostring(16 << 20) } })
    assert.equal("", result.err)
    local FULL = "the region is full: %d of its 16777216 bytes are in use and %d more are needed; " ..
      "set LK_REGION_SIZE to more, or let go of tensors\n"
    local expected = { "false\ttensor: no room for f64 of [4194304] (33554432 bytes): ", FULL:format(0, 32 << 20) }
    expected[1] = expected[1]:gsub("\t", "\tlkrun: ")
    expected[#expected + 1] = "1\t1000\n"
    for i = 2, 9 do expected[#expected + 1] = ("%d\ttask[%d]: "):format(i, i) .. FULL:format(16 << 20, 2 << 20) end
    expected[#expected + 1] = "10\t1001\n"
    expected[#expected + 1] = "1\tresult: the region is full; set LK_REGION_SIZE to more, or return less at a time\n"
    expected[#expected + 1] = "2\t100000\n3\t262144\n"
    assert.equal(table.concat(expected), result.out)
  end))
end)

describe("an invoker made in another thread", function()
  it("is an error", clean(function()
    local out = run [[
      local before = held()
      print(fault.in_thread(pcall, lk.invoker, {}, double, { n_jobs = 2 }))
      print(held() == before)
      local inv <close> = lk.invoker({}, double, { n_jobs = 2 })
      check(inv)]]
    assert.equal("true\tfalse\tlkrun: lk.invoker: workers cannot start from this thread; " ..
      "processes are made on the main thread alone (workers = \"threads\" works everywhere)\ntrue\n", out)
  end))
end)
