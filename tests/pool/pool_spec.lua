-- What the pool leaves behind: nothing, however it ends.
local lk = require "lkrun"
local await = require "tests.support.await"
local processes = require "tests.support.processes"
local program = require "tests.support.program"

local own = processes.own()
local function double(_, task) return 2 * task end

-- Fails unless `body` leaves no child process, and no more descriptors than there were before.
local function assert_leaves_nothing(body)
  lk.invoker(nil, double, { n_jobs = 2 }):shutdown() -- what is opened once and for all
  collectgarbage()
  collectgarbage()
  local before = processes.count_descriptors()
  body()
  collectgarbage()
  collectgarbage()
  assert.same({}, processes.children(own))
  assert.equal(before, processes.count_descriptors())
  assert.same({}, processes.mappings("self", "memfd:lkrun-rings"))
end

describe("a pool that ends", function()
  it("by a shutdown leaves no process and no descriptor", function()
    assert_leaves_nothing(function()
      for n_jobs = 1, 5 do
        local inv = lk.invoker(nil, double, { n_jobs = n_jobs })
        inv:collect { 1, 2, 3 }
        inv:submit(4)
        inv:shutdown()
      end
    end)
  end)

  it("by the end of its scope, in an error, leaves none", function()
    assert_leaves_nothing(function()
      assert.error_matches(function()
        local inv <close> = lk.invoker(nil, double, { n_jobs = 3 })
        for _ in inv:map(function() return 1 end) do error "enough" end
      end, "enough")
    end)
  end)

  it("by the collector leaves none", function()
    assert_leaves_nothing(function()
      lk.invoker(nil, double, { n_jobs = 3 }):collect { 1, 2, 3 }
      local step = lk.invoker(nil, double, { n_jobs = 3 }):map { 1, 2, 3 }
      step()
      local inv = lk.invoker(nil, double, { n_jobs = 2 })
      coroutine.wrap(function()
        for _ in inv:map(function() return 1 end) do coroutine.yield() end
      end)()
    end)
  end)

  it("while its workers are in a task, with the programs those started, leaves none", function()
    assert_leaves_nothing(function()
      local path = os.tmpname()
      finally(function() os.remove(path) end)
      local inv = lk.invoker(nil, function()
        local pipe = io.popen "echo $$; exec sleep 1000"
        local file <close> = io.open(path, "a")
        file:write(pipe:read "l", "\n")
        file:close()
        pipe:read "a"
      end, { n_jobs = 2 })
      inv:submit(1)
      inv:submit(2)
      local started = await(function()
        local first, second = (processes.read(path) or ""):match "^(%d+)\n(%d+)\n$"
        return first and { tonumber(first), tonumber(second) }
      end, "two programs")
      assert.is_true(processes.runs(started[1]) and processes.runs(started[2]))
      inv:shutdown()
      for _, pid in ipairs(started) do
        await(function() return not processes.runs(pid) end, "the end of a program")
      end
    end)
  end)

  it("when its program ends, however that is, leaves none", function()
    local ways = {
      [""] = 0,
      ["os.exit(0)"] = 0,
      ["os.exit(3)"] = 3,
      ["os.exit(4, true)"] = 4,
      ["error 'the end'"] = 1,
      ["coroutine.wrap(function() for _ in inv:map { 1, 2 } do coroutine.yield() end end)()"] = 0,
      ["for _ in inv:map { 1, 2 } do os.exit(5) end"] = 5,
      ["for _ in inv:map { 1, 2 } do os.exit(6, true) end"] = 6,
    }
    for way, status in pairs(ways) do
      local result = program.run([[
        local lk = require "lkrun"
        local processes = require "tests.support.processes"
        inv = lk.invoker(nil, function() return processes.own() end, { n_jobs = 2 })
        for _, pid in inv:map { 1, 2, 3, 4 } do io.stdout:write(pid, "\n") end
        local children
        repeat children = processes.children(processes.own()) until #children == 3
        for _, pid in ipairs(children) do io.stdout:write(pid, "\n") end
        io.stdout:flush() ]] .. way)
      assert.equal(status, result.status, way .. result.err)
      local count = 0
      for pid in result.out:gmatch "%d+" do
        count = count + 1
        await(function() return not processes.runs(tonumber(pid)) end, "the end of a worker")
      end
      assert.equal(7, count)
    end
  end)
end)

describe("many pools", function()
  it("beside each other do their work and end in any order", function()
    assert_leaves_nothing(function()
      local invokers, order = {}, {}
      for i = 1, 16 do
        invokers[i] = lk.invoker({ factor = i }, function(model, task) return model.factor * task end, { n_jobs = 2 })
        order[i] = i * 7 % 17
      end
      for _, i in ipairs(order) do
        for k = 1, 16 do
          if invokers[k] then assert.equal(3 * k, (invokers[k]:submit(3):get())) end
        end
        assert.same({ n = 2, errors = {}, i, 2 * i }, invokers[i]:collect { 1, 2 })
        invokers[i]:shutdown()
        invokers[i] = nil
      end
    end)
  end)

  it("one after the other take nothing more each time", function()
    assert_leaves_nothing(function()
      for i = 1, 60 do
        local inv <close> = lk.invoker(nil, double, { n_jobs = 2 })
        assert.equal(2 * i, inv:collect { i }[1])
      end
    end)
  end)
end)

describe("a descriptor", function()
  it("of the pool is closed in what workers and the program start", function()
    local inv <close> = lk.invoker(nil, function()
      local pipe <close> = io.popen "ls /proc/self/fd | wc -l"
      return pipe:read "n"
    end, { n_jobs = 3 })
    local bare = io.popen "ls /proc/self/fd | wc -l"
    finally(function() bare:close() end)
    local count = bare:read "n"
    for _, inherited in inv:map { 1, 2, 3 } do assert.equal(count, inherited) end
  end)
end)

-- A program whose tasks start programs of their own, which would never end. It writes the pids of all of them
-- and "ready"; then the shell runs the line `fate`, in which $! is the pid of the program.
local function doomed(fate, interpreter)
  local script = os.tmpname()
  finally(function() os.remove(script) end)
  do
    local file <close> = assert(io.open(script, "w"))
    file:write [[
      local lk = require "lkrun"
      local processes = require "tests.support.processes"
      io.stdout:setvbuf "line"
      local model = lk.tensor.ones { 300, 300 }
      local inv <close> = lk.invoker(model, function(m, task)
        local pipe = io.popen "echo $$; exec sleep 1000"
        print("worker", processes.own())
        print("program", pipe:read "l")
        if task < 3 then return end
        pipe:read "a"
      end, { n_jobs = 2, ordered = false, progress = arg[1] == "progress" })
      local pulled, delivered = 0, 0
      for _ in inv:map(function() pulled = pulled + 1 return pulled end) do
        delivered = delivered + 1
        if delivered == 2 then
          local children
          repeat children = processes.children(processes.own()) until #children == 3
          for _, pid in ipairs(children) do print("child", pid) end
          print("memory", processes.mappings("self", "memfd:lkrun")[1].inode)
          print "ready"
        end
      end]]
  end
  -- Job control gives the program a group of its own, as a terminal's shell does. The lines that come
  -- after "ready" are read to the end, which comes when every process that could write has ended.
  local result = program.shell(([[
    set -m
    folder=$(mktemp -d)
    mkfifo $folder/output
    %s %s >$folder/output </dev/null &
    exec 3<$folder/output
    while read -r kind id <&3; do
      echo "$kind	$id"
      [ "$kind" = worker ] && workers="$workers $id"
      [ "$kind" = ready ] && break
    done
    %s
    wait $!
    status=$?
    timeout 200 cat <&3 || echo late
    rm -r $folder
    exit $status]]):format(interpreter or "$LKRUN", script, fate))
  assert.truthy(result.out:find "ready", result.err)
  assert.is_nil(result.out:find "late")
  return result
end

local function assert_all_gone(result)
  local count = 0
  for pid in result.out:gmatch "%a+\t(%d+)" do
    count = count + 1
    await(function() return not processes.runs(tonumber(pid)) end, "the end of " .. pid)
  end
  assert.is_true(count >= 2 + 2 + 3 + 1, result.out) -- workers, programs, all children, memory
  -- Nobody has the memory any more, so it is gone.
  local inode = tonumber(result.out:match "memory\t(%d+)")
  for name in require("lfs").dir "/proc" do
    if tonumber(name) then
      for _, mapping in ipairs(processes.mappings(name, "memfd:lkrun")) do
        assert.are_not.equal(inode, mapping.inode)
      end
    end
  end
end

describe("a program that is killed in a map", function()
  it("leaves no process of its own or of its tasks, and no memory", function()
    local result = doomed "kill -KILL $!"
    assert.equal(128 + 9, result.status)
    assert_all_gone(result)
  end)

  it("leaves none when its workers are stopped", function()
    local result = doomed [[
      kill -STOP $workers
      kill -KILL $!]]
    assert_all_gone(result)
  end)
end)

describe("Ctrl-C in a map", function()
  it("ends the program with status 130 and leaves no process", function()
    local result = doomed "kill -INT -$!"
    assert.equal(130, result.status)
    assert.truthy(result.err:find "^lkrun: [^\n]*interrupted\n$", result.err)
    assert_all_gone(result)
  end)

  it("does so from another program, and for SIGTERM", function()
    local result = doomed "kill -TERM $!"
    assert.equal(143, result.status)
    assert_all_gone(result)
  end)

  it("twice does so as well", function()
    local result = doomed "kill -INT $!; kill -INT $!"
    assert.equal(130, result.status)
    assert_all_gone(result)
  end)

  it("in a stock Lua does what that has it do, and leaves no process", function()
    if (os.getenv "LKRUN_SAN" or "") ~= "" then return pending "a stock Lua lacks the sanitizer's runtime" end
    local result = doomed("kill -INT $!", "env LUA_CPATH='build/lib/?.so;;' lua5.4")
    assert.equal(1, result.status)
    assert.truthy(result.err:find "interrupted!", result.err)
    assert_all_gone(result)
    result = doomed("kill -KILL $!", "env LUA_CPATH='build/lib/?.so;;' lua5.4")
    assert.equal(128 + 9, result.status)
    assert_all_gone(result)
  end)

  it("reaches the loop's body, the generator and tasks in place", function()
    local places = {
      "lk.map(nil, function() end, function() return 1 end, { n_jobs = N }) do tell() while true do end end",
      "lk.map(nil, function() end, function() tell() while true do end end, { n_jobs = N }) do end",
      "lk.map(nil, function() end, function() return 1 end, { n_jobs = N }) do tell() end",
      "lk.map(nil, function() tell() while true do end end, { 1, 2 }, { n_jobs = 1 }) do end",
      "lk.map(nil, function() tell() while true do end end, { 1, 2 }, { n_jobs = 1, on_error = 'return' }) do end",
    }
    for _, place in ipairs(places) do
      for _, n_jobs in ipairs { 1, 2 } do
        local script = os.tmpname()
        do
          local file <close> = assert(io.open(script, "w"))
          file:write([[
            local lk = require "lkrun"
            local told
            local function tell()
              if not told then print "ready" io.stdout:flush() end
              told = true
            end
            for i in ]], (place:gsub("N", n_jobs)))
        end
        local result = program.shell(([[
          set -m
          folder=$(mktemp -d)
          mkfifo $folder/output
          $LKRUN %s >$folder/output </dev/null &
          exec 3<$folder/output
          read -r line <&3
          kill -INT $!
          (cat <&3) >/dev/null
          wait $!
          status=$?
          rm -r $folder
          exit $status]]):format(script))
        os.remove(script)
        assert.equal(130, result.status, place .. result.err)
        assert.truthy(result.err:find "^lkrun: [^\n]*interrupted\n$", result.err)
      end
    end
  end)
end)

describe("a worker that is killed", function()
  local function kill_at(fatal)
    return function(_, task)
      if task == fatal then
        os.execute "kill -KILL $PPID"
        while true do end
      end
      return task
    end
  end

  it("is an error that names task, worker and signal, and the pool goes on", function()
    for _, ordered in ipairs { true, false } do
      local inv <close> = lk.invoker(nil, kill_at(3), { n_jobs = 2, on_error = "return", ordered = ordered })
      local tasks = {}
      for i = 1, 40 do tasks[i] = i end
      for round = 1, 3 do
        local results = inv:collect(tasks)
        for i = 1, 40 do
          if i == 3 then
            local err = results.errors[3]
            assert.is_nil(results[3])
            assert.equal("signal", err.reason)
            assert.equal(9, err.signal)
            assert.equal(3, err.task)
            assert.is_true(err.worker == 1 or err.worker == 2)
            assert.equal(("task 3 killed worker %d (SIGKILL; the kernel's out-of-memory killer is a usual cause)"
              .. "; retries = 1 would run it again"):format(err.worker), err.message)
            assert.truthy(tostring(err):find("lkrun: " .. err.message, 1, true))
            assert.truthy(tostring(err):find "; %d+ other results? delivered$")
          else
            assert.equal(i, results[i])
            assert.is_nil(results.errors[i])
          end
        end
        assert.equal(round, inv:stats().crashes)
      end
    end
  end)

  it("raises for its task, and the next map works", function()
    local inv <close> = lk.invoker(nil, kill_at(3), { n_jobs = 2 })
    local delivered = 0
    local ok, err = pcall(function()
      for i in inv:map { 1, 2, 3, 4, 5 } do delivered = i end
    end)
    assert.is_false(ok)
    assert.same({ 2, "signal", 2 }, { delivered, err.reason, err.delivered })
    assert.same({ n = 3, errors = {}, 4, 5, 6 }, inv:collect { 4, 5, 6 })
  end)

  it("fails the submitted task it ran, and no other", function()
    local inv <close> = lk.invoker(nil, kill_at(3), { n_jobs = 2 })
    local futures = {}
    for i = 1, 5 do futures[i] = inv:submit(i) end
    for i = 1, 5 do
      local ok, value = pcall(futures[i].get, futures[i])
      assert.equal(i ~= 3, ok)
      if ok then
        assert.equal(i, value)
      else
        assert.truthy(value.message:find "^submitted task 3 killed worker %d %(SIGKILL")
      end
    end
  end)

  it("between tasks is replaced without anybody to blame", function()
    local inv <close> = lk.invoker(nil, function() return processes.own() end, { n_jobs = 2 })
    for _ = 1, 3 do
      local before = inv:collect { 1, 2, 3, 4 }
      os.execute(("kill -KILL %d"):format(before[1]))
      await(function() return not processes.runs(before[1]) end, "the end of a worker")
      local after = inv:collect { 1, 2, 3, 4 }
      assert.equal(4, after.n)
      for i = 1, 4 do assert.are_not.equal(before[1], after[i]) end
    end
    assert.equal(0, inv:stats().crashes)
  end)

  it("leaves no descriptor behind", function()
    assert_leaves_nothing(function()
      local inv <close> = lk.invoker(nil, kill_at(3), { n_jobs = 2, on_error = "return" })
      for _ = 1, 5 do inv:collect { 1, 2, 3, 4 } end
    end)
  end)
end)

describe("long tasks behind many short ones", function()
  it("keep both workers busy", function()
    local SHORT <const> = 100000
    local begun = lk.tensor.zeros { 4 }
    local inv <close> = lk.invoker(begun, function(model, task)
      if task <= SHORT then return true end
      model:set(task - SHORT, 1)
      local until_time, count = lk.clock() + 200, 0
      while count < 2 and lk.clock() < until_time do -- until two of the long tasks have begun, or for 200 s in vain
        count = 0
        for i = 1, 4 do count = count + model:get(i) end
      end
      return count >= 2
    end, { n_jobs = 2, writable = { begun } })
    for _ = 1, 5 do
      for i = 1, 4 do begun:set(i, 0) end
      local n = 0
      for i, met in inv:map(function()
        n = n + 1
        return n <= SHORT + 4 and n or nil
      end) do
        if not met then error("task " .. i .. " was alone") end
      end
    end
  end)
end)
