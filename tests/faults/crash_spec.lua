-- A worker dies: which task is blamed, which tasks run again, and that nobody waits for ever.
local lk = require "lkrun"
local processes = require "tests.support.processes"
local setup = require "tests.faults.setup"
local fault, clean = setup.fault, setup.clean

local OUT_OF_MEMORY = "SIGKILL; the kernel's out-of-memory killer is a usual cause"
-- Ways for a worker to die in a task: `die` does it, or the signal `sent` from outside after `make_ready`. And
-- what the error then says, and its fields.
local ways = {
  { name = "killed by SIGKILL", die = function() fault.kill(fault.pid(), "KILL") end,
    make_ready = function() end, sent = "KILL",
    says = OUT_OF_MEMORY, reason = "signal", signal = 9 },
  { name = "killed by SIGSEGV", die = fault.segv,
    make_ready = function() fault.reset "SEGV" end, sent = "SEGV", -- a sanitizer has a handler there
    says = "SIGSEGV; invalid memory access in C code", reason = "signal", signal = 11 },
  { name = "killed by SIGABRT", die = fault.abort,
    make_ready = function() fault.reset "ABRT" end, sent = "ABRT",
    says = "SIGABRT; C code called abort", reason = "signal", signal = 6 },
  { name = "ended by os.exit(3)", die = function() os.exit(3) end,
    make_ready = function() fault.exit_on("USR1", 3) end, sent = "USR1",
    says = "exit status 3", reason = "exit", status = 3 },
}

local function range(n)
  local tasks = {}
  for i = 1, n do tasks[i] = i end
  return tasks
end

-- Sends the signal to all workers, or to one, while they have nothing to do.
local function end_workers(inv, signal, which)
  processes.await_workers(inv)
  for i, worker in ipairs(inv:stats().workers) do
    if not which or which == i then
      assert(fault.kill(worker.pid, signal))
      setup.eventually(function() return (setup.state(worker.pid) or "Z") == "Z" end, "the worker's end")
    end
  end
end

-- Fails unless the message and the fields of an error are those of this way to die.
local function assert_blamed(way, task, err, again)
  assert.equal(way.reason, err.reason)
  assert.equal(way.signal, err.signal)
  assert.equal(way.status, err.status)
  assert.equal(task, err.task)
  assert.equal(("task %d killed worker %d (%s)%s"):format(task, err.worker, way.says, again), err.message)
end

local WOULD = "; retries = 1 would run it again"

for _, way in ipairs(ways) do
  describe("a worker " .. way.name, function()
    for where, bad in pairs { ["in the first task"] = 1, ["in the last task"] = 40, ["in the middle"] = 20 } do
      it(where, clean(function()
        local function double(_, n)
          if n == -bad then way.die() end
          return n * 2
        end
        local inv <close> = lk.invoker({}, double, { n_jobs = 2, on_error = "return" })
        local tasks = range(40)
        tasks[bad] = -bad
        local results, errors, count = setup.gather(inv:map(tasks))
        assert.equal(40, count)
        for i = 1, 40 do
          if i == bad then
            assert_blamed(way, bad, errors[i], WOULD)
          else
            assert.equal(2 * i, results[i])
            assert.is_nil(errors[i])
          end
        end
        assert.equal(1, inv:stats().crashes)
        setup.assert_goes_on(inv)
      end))
    end

    it("raises in the loop, after the results before it", clean(function()
      local inv <close> = lk.invoker({}, function(_, n)
        if n < 0 then way.die() end
        return n * 2
      end, { n_jobs = 2 })
      local seen = 0
      local ok, err = pcall(function()
        for i, result in inv:map { 1, 2, 3, -4, 5 } do
          seen = seen + 1
          assert.equal(2 * i, result)
        end
      end)
      assert.is_false(ok)
      assert.equal(3, seen)
      assert_blamed(way, 4, err, WOULD)
      assert.equal(("lkrun: task 4 killed worker %d (%s)%s; 3 other results delivered"):format(
        err.worker, way.says, WOULD), tostring(err))
      setup.assert_goes_on(inv)
    end))

    it("is blamed for a submitted task", clean(function()
      local inv <close> = lk.invoker({}, function(_, n)
        if n < 0 then way.die() end
        return n * 2
      end, { n_jobs = 2 })
      local good, bad = inv:submit(1), inv:submit(-1)
      assert.equal(2, good:get())
      local ok, err = pcall(bad.get, bad)
      assert.is_false(ok)
      assert.equal(way.reason, err.reason)
      assert.truthy(err.message:find(("submitted task 2 killed worker %d (%s)"):format(err.worker, way.says), 1, true))
      setup.assert_goes_on(inv)
    end))

    it("is replaced, and the task run again, with retries", clean(function()
      local tries = lk.tensor.zeros { 40 }
      local inv <close> = lk.invoker({}, function(_, n)
        tries:set(n, tries:get(n) + 1)
        if n % 10 == 0 and tries:get(n) < 3 then way.die() end
        return n * 2
      end, { n_jobs = 2, retries = 2, writable = { tries } })
      local results, _, count = setup.gather(inv:map(range(40)))
      assert.equal(40, count)
      for i = 1, 40 do
        assert.equal(2 * i, results[i])
        assert.equal(i % 10 == 0 and 3 or 1, tries:get(i))
      end
      assert.equal(8, inv:stats().retries)
    end))

    it("again and again on the same task, is reported after the retries", clean(function()
      local inv <close> = lk.invoker({}, function(_, n)
        if n < 0 then way.die() end
        return n * 2
      end, { n_jobs = 2, retries = 3, on_error = "return" })
      local tasks = range(40)
      tasks[7] = -7
      local results, errors, count = setup.gather(inv:map(tasks))
      assert.equal(40, count)
      assert_blamed(way, 7, errors[7], ", the last of 4 times it was tried")
      errors[7] = nil
      assert.same({}, errors)
      for i = 1, 40 do
        if i ~= 7 then assert.equal(2 * i, results[i]) end
      end
      local stats = inv:stats()
      assert.equal(4, stats.crashes)
      assert.equal(3, stats.retries)
      setup.assert_goes_on(inv)
    end))

    it("between tasks is replaced, and nobody is blamed", clean(function()
      local inv <close> = lk.invoker({}, function(_, n)
        way.make_ready()
        return n * 2
      end, { n_jobs = 2 })
      setup.assert_goes_on(inv)
      for _ = 1, 4 do
        end_workers(inv, way.sent, 1)
        setup.assert_goes_on(inv)
      end
      assert.equal(0, inv:stats().crashes)
    end))

    it("while it holds tasks it has not begun loses none of them", clean(function()
      local inv <close> = lk.invoker({}, function(_, n)
        if n < 0 then way.die() end
        return n * 2
      end, { n_jobs = 2, on_error = "return" })
      local tasks = range(20000)
      for _, bad in ipairs { 5000, 10000, 10001, 15000 } do tasks[bad] = -bad end
      local results, errors, count = setup.gather(inv:map(tasks))
      assert.equal(20000, count)
      for i = 1, 20000 do
        if tasks[i] < 0 then
          assert_blamed(way, i, errors[i], WOULD)
        else
          assert.equal(2 * i, results[i])
        end
      end
      assert.equal(4, inv:stats().crashes)
      setup.assert_goes_on(inv)
    end))

    for retries = 0, 1 do
      it("while it writes a result larger than its ring, retries = " .. retries, clean(function()
        local large = 4 << 20
        local begun = lk.tensor.zeros { 3 } -- times "large" was begun; the worker's pid; 1: the result may be made
        local inv <close> = lk.invoker({}, function(_, n)
          if n == "first" then -- waits for "large" to begin, so that both are pulled before a result comes
            repeat until begun:get(1) > 0
            return 2
          end
          if n ~= "large" then return n * 2 end
          way.make_ready()
          begun:set(1, begun:get(1) + 1)
          repeat until begun:get(3) == 1
          begun:set(2, fault.pid())
          return ("x"):rep(large)
        end, { n_jobs = 2, retries = retries, on_error = "return", writable = { begun } })
        local results, errors, count = {}, {}, 0
        for i, result, err in inv:map { "first", "large" } do
          count = count + 1
          results[i], errors[i] = result, err
          if i == 1 then -- the result does not fit, and the worker sleeps only to wait for room
            begun:set(3, 1)
            setup.eventually(function()
              return begun:get(2) > 0 and setup.state(math.tointeger(begun:get(2))) == "S"
            end, "a worker that waits for room")
            fault.kill(math.tointeger(begun:get(2)), way.sent)
          end
        end
        assert.equal(2, count)
        if retries == 0 then
          assert_blamed(way, 2, errors[2], WOULD)
        else
          assert.equal(large, #results[2])
        end
        assert.equal(retries + 1, begun:get(1))
        setup.assert_goes_on(inv)
      end))
    end
  end)
end

describe("a worker killed", function()
  local function double(_, n) return n * 2 end

  it("with all the others at once", clean(function()
    local inv <close> = lk.invoker({}, double, { n_jobs = 10 })
    setup.assert_goes_on(inv)
    for _ = 1, 3 do
      end_workers(inv, "KILL")
      setup.assert_goes_on(inv)
    end
    assert.equal(0, inv:stats().crashes)
  end))

  it("with all the others, each in a task", clean(function()
    local begun = lk.tensor.zeros { 4 }
    local inv <close> = lk.invoker({}, function(_, n)
      begun:set(n, begun:get(n) + 1)
      if begun:get(n) == 1 then fault.stuck() end
      return n * 2
    end, { n_jobs = 4, retries = 1, writable = { begun } })
    local futures = {}
    for i = 1, 4 do futures[i] = inv:submit(i) end
    setup.eventually(function()
      return not futures[1]:done() and begun:get(1) + begun:get(2) + begun:get(3) + begun:get(4) == 4
    end, "every worker in a task")
    for _, worker in ipairs(inv:stats().workers) do fault.kill(worker.pid, "KILL") end
    for i = 1, 4 do assert.equal(2 * i, futures[i]:get()) end
    assert.equal(4, inv:stats().crashes)
  end))

  -- No task has reset a signal yet, so a sanitizer's handler of SIGSEGV would report the death at length.
  local signals = (os.getenv "LKRUN_SAN" or "") == "" and { "KILL", "ABRT", "SEGV" } or { "KILL", "ABRT" }

  it("during start-up is replaced", clean(function()
    for turn = 1, 12 do
      local before = #setup.children()
      local inv <close> = lk.invoker({}, double, { n_jobs = 3 })
      local pids = setup.eventually(function()
        local now = setup.children()
        return #now > before + turn % 3 + 1 and now
      end, "a worker")
      for i = before + 1, #pids do
        if pids[i] ~= inv:stats().template then fault.kill(pids[i], signals[turn % #signals + 1]) end
      end
      setup.assert_goes_on(inv)
    end
  end))
end)
