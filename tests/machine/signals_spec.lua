local program = require "tests.support.program"
local shell = program.shell

-- Runs `code`, which writes a line whenever it is ready for the next of these signals. The output of
-- the result is what it wrote apart from those lines.
local function interrupted(code, ...)
  local script = os.tmpname()
  do
    local file <close> = assert(io.open(script, "wb"))
    file:write("io.stdout:setvbuf 'line'\n", code)
  end
  -- Job control, for a background job of a plain shell ignores SIGINT.
  local result = shell(([[
    set -m
    folder=$(mktemp -d)
    mkfifo $folder/output $folder/input
    $LKRUN %s >$folder/output <>$folder/input &
    exec 3<$folder/output
    for signal in %s; do read -r line <&3; kill -$signal $!; done
    cat <&3
    rm -r $folder
    wait $!
    exit $?]]):format(script, table.concat({ ... }, " ")))
  os.remove(script)
  return result
end

local function assert_interrupted(status, result)
  assert.equal(status, result.status)
  assert.truthy(result.err:find "^lkrun: [^\n]*interrupted\n$", result.err)
end

describe("a signal", function()
  it("interrupts a loop", function()
    local code = "print 'ready'\nwhile true do end"
    assert_interrupted(130, interrupted(code, "INT"))
    assert_interrupted(143, interrupted(code, "TERM"))
    assert.truthy(interrupted(code, "INT").err:find ":[23]: interrupted")
  end)

  it("interrupts a loop in a coroutine, however it was begun", function()
    assert_interrupted(130, interrupted([[
      coroutine.wrap(function() coroutine.wrap(function() print "ready" while true do end end)() end)()]], "INT"))
    local result = interrupted([[
      print(coroutine.resume(coroutine.create(function() print "ready" while true do end end)))]], "INT")
    assert.equal("false\tinterrupted\n", result.out)
    assert.equal(0, result.status)
  end)

  it("interrupts a program that goes in and out of coroutines", function()
    assert_interrupted(143, interrupted([[
      local next_number = coroutine.wrap(function() local n = 0 while true do n = n + 1 coroutine.yield(n) end end)
      print "ready"
      while true do next_number() end]], "TERM"))
  end)

  it("interrupts a map, wherever its tasks run", function()
    for jobs = 1, 2 do
      for _, on_error in ipairs { "raise", "return" } do
        assert_interrupted(143, interrupted(([[
          local lk = require "lkrun"
          local function forever() io.write "ready\n" io.flush() while true do end end
          if %d > 1 then print "ready" end
          for i in lk.map({}, forever, { 1, 2, 3 }, { n_jobs = %d, on_error = %q }) do print(i) end
          print "after"]]):format(jobs, jobs, on_error), "TERM"))
      end
    end
  end)

  it("interrupts a future that works in place", function()
    assert_interrupted(130, interrupted([[
      local invoker = require "lkrun".invoker({}, function() print "ready" while true do end end, { n_jobs = 1 })
      print(invoker:submit(1):get())]], "INT"))
  end)

  it("interrupts waiting for input", function()
    assert_interrupted(130, interrupted([[
      print "ready"
      io.read() -- which never comes
      while true do end]], "INT"))
  end)

  it("can be caught, and the program can clean up", function()
    local result = interrupted([[
      local function work()
        local guard <close> = setmetatable({}, { __close = function() print "closed" end })
        print "ready"
        while true do end
      end
      print(pcall(work))
      local n = 0
      for i = 1, 1e6 do n = n + 1 end
      print(n)]], "INT")
    assert.equal("closed\nfalse\tinterrupted\n1000000\n", result.out)
    assert.equal(0, result.status)
  end)

  it("that comes a second time ends the process", function()
    local result = interrupted([[
      local function wait() print "ready" while true do end end
      pcall(wait)
      local guard <close> = setmetatable({}, { __close = function() print "closed" end })
      wait()]], "INT", "TERM")
    assert.equal("", result.out)
    assert.equal("", result.err)
    assert.equal(143, result.status)
  end)

  it("leaves a hook of the program's own in place", function()
    local result = interrupted([[
      debug.sethook(function() end, "", 1000000007)
      pcall(function() print "ready" while true do end end)
      print(select(3, debug.gethook()))]], "INT")
    assert.equal("1000000007\n", result.out)
  end)
end)

describe("coroutines", function()
  it("are as in the manual", function()
    local co = coroutine.create(function(a, b)
      local c = coroutine.yield(a + b)
      local d, e = coroutine.yield(c * 2)
      return d, e, nil
    end)
    assert.same({ true, 3 }, { coroutine.resume(co, 1, 2) })
    assert.same({ true, 10 }, { coroutine.resume(co, 5) })
    assert.same({ n = 4, true, 7, 8 }, table.pack(coroutine.resume(co, 7, 8)))
    assert.same({ false, "cannot resume dead coroutine" }, { coroutine.resume(co) })
    assert.error_matches(function() coroutine.resume(1) end, "coroutine expected")
    assert.error_matches(function() coroutine.wrap(1) end, "function expected")
  end)

  it("pass errors on, closing what was open in a wrapped one", function()
    local closed
    local function fail(message)
      local _ <close> = setmetatable({}, { __close = function(_, why) closed = why end })
      error(message, 0)
    end
    local object = {}
    local ok, message = pcall(coroutine.wrap(fail), object)
    assert.equal(false, ok)
    assert.equal(object, message)
    assert.equal(object, closed)
    ok, message = pcall(function() coroutine.wrap(fail)("why") end)
    assert.equal(false, ok)
    assert.truthy(message:find "signals_spec.lua:%d+: why$", message)
    assert.equal("why", closed)
    local co = coroutine.create(fail)
    assert.same({ false, "why" }, { coroutine.resume(co, "why") })
    assert.equal("dead", coroutine.status(co))
    assert.equal("function", type(coroutine.wrap(fail)))
  end)

  it("carry many values", function()
    local values = {}
    for i = 1, 10000 do values[i] = i end
    local co = coroutine.wrap(function(...) return ... end)
    assert.equal(10000, select("#", co(table.unpack(values))))
  end)
end)

describe("the process", function()
  -- The names of these signals that stand in a mask of /proc/PID/status.
  local function mask_of(line, which)
    local mask = tonumber(line:match(which .. ":%s*(%x+)"), 16)
    local names = {}
    for number, name in pairs { [2] = "INT", [13] = "PIPE", [15] = "TERM", [17] = "CHLD" } do
      if mask >> (number - 1) & 1 == 1 then names[#names + 1] = name end
    end
    table.sort(names)
    return table.concat(names, " ")
  end

  it("waits for its children where SIGCHLD was ignored", function()
    assert.equal("nil\texit\t3\n", shell [[trap '' CHLD; $LKRUN -e 'print(os.execute("exit 3"))']].out)
  end)

  it("keeps ignoring what its parent had it ignore", function()
    local status = shell [[trap '' INT; $LKRUN -e 'print(io.open("/proc/self/status"):read "a")']].out
    assert.equal("INT", mask_of(status, "SigIgn"))
    assert.equal("PIPE TERM", mask_of(status, "SigCgt"))
  end)

  it("passes no disposition of its own to the programs it starts", function()
    local status = shell [[$LKRUN -e 'os.execute "exec cat /proc/self/status"']].out
    assert.equal("", mask_of(status, "SigIgn"))
  end)

  it("leaves dispositions alone in another Lua", function()
    if (os.getenv "LKRUN_SAN" or "") ~= "" then return pending "a stock Lua lacks the sanitizer's runtime" end
    local result = shell [[LUA_CPATH='build/lib/?.so;;' lua5.4 -e '
      local function tell() print(io.open("/proc/self/status"):read "a":match "SigBlk.-SigCgt[^\n]*") end
      tell() require "lkrun".tensor.zeros { 3 } tell()']]
    assert.equal("", result.err)
    local before, after = result.out:match "^(SigBlk.-)(SigBlk.*)$"
    assert.equal(before, after)
  end)
end)
