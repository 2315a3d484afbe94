-- Output under faults: floods, lines cut by a death, a disk that is full, streams that are closed.
local setup = require "tests.faults.setup"
local program = require "tests.support.program"
local clean = setup.clean

local function shell(code, line)
  local script <close> = setup.file(setup.prelude .. code)
  return program.shell((line:gsub("SCRIPT", script.path)))
end

describe("a worker that prints", function()
  local MIB = os.getenv "LKRUN_SOAK" and 1024 or 64

  it(MIB .. " MiB in whole lines loses none of it", clean(function()
    local result = shell(([[
      local line = ("x"):rep(1023)
      for i in lk.map({}, function(_, n)
        for k = 1, %d * 1024 // 4 do print(line) end
        return n
      end, { 1, 2, 3, 4 }, { n_jobs = 2 }) do end]]):format(MIB), "$LKRUN SCRIPT | uniq -c")
    assert.equal("", result.err)
    local count, rest = result.out:match "^ *(%d+) (x+)\n$"
    assert.equal(MIB * 1024, math.tointeger(count))
    assert.equal(1023, #rest)
  end))

  it(MIB .. " MiB without the end of a line loses none of it", clean(function()
    local result = shell(([[
      local piece = ("x"):rep(1024)
      for i in lk.map({}, function(_, n)
        for k = 1, %d * 1024 do io.write(piece) end
        return n
      end, { 1 }, { n_jobs = 2 }) do end]]):format(MIB), "$LKRUN SCRIPT | wc -c")
    assert.equal("", result.err)
    assert.equal(MIB << 20, math.tointeger(tonumber(result.out) or 0) // (1 << 20) << 20)
  end))

  it("without end does not keep the others' results", clean(function()
    local result = shell([[
      local told = lk.tensor.zeros { 1 }
      local inv <close> = lk.invoker({}, function(_, n)
        if n == 1 then
          repeat print "noise" until told:get(1) == 1
        end
        return n
      end, { n_jobs = 2, ordered = false, writable = { told } })
      for i, result in inv:map { 1, 2, 3, 4, 5 } do
        if i > 1 then io.stderr:write(result, "\n") end
        if i == 5 then told:set(1, 1) end
      end]], "$LKRUN SCRIPT | uniq")
    assert.equal("noise\n", result.out)
    local seen = {}
    for line in result.err:gmatch "%d+" do seen[line] = true end
    assert.same({ ["2"] = true, ["3"] = true, ["4"] = true, ["5"] = true }, seen)
  end))

  it("and is killed in the middle of a line: the piece is a line of its own", clean(function()
    local result = shell([[
      local inv <close> = lk.invoker({}, function(_, n)
        if n == 2 then
          io.write "a whole line\nhalf a li"
          io.flush()
          fault.write(2, "half of an er")
          fault.kill(fault.pid(), "KILL")
        end
        print("task " .. n)
        return n
      end, { n_jobs = 2, on_error = "return" })
      for i, result, err in inv:map { 1, 2, 3 } do print(i, result, err and err.reason) end]], "$LKRUN SCRIPT")
    assert.equal("half of an er\n", result.err)
    local lines = {}
    for line in result.out:gmatch "[^\n]*\n" do lines[line] = (lines[line] or 0) + 1 end
    assert.same({
      ["task 1\n"] = 1, ["1\t1\tnil\n"] = 1, ["a whole line\n"] = 1, ["half a li\n"] = 1,
      ["2\tnil\tsignal\n"] = 1, ["task 3\n"] = 1, ["3\t3\tnil\n"] = 1,
    }, lines)
    assert.truthy(result.out:find "\nhalf a li\n.*2\tnil\tsignal", result.out)
  end))

  it("and is killed with what it had not flushed: that is lost, and nothing else", clean(function()
    local result = shell([[
      local inv <close> = lk.invoker({}, function(_, n)
        print("task " .. n)
        if n == 2 then fault.kill(fault.pid(), "KILL") end
        return n
      end, { n_jobs = 2, on_error = "return" })
      for i, result, err in inv:map { 1, 2, 3 } do print(i, result, err and err.reason) end]], "$LKRUN SCRIPT")
    assert.equal("", result.err)
    assert.truthy(result.out:find("task 1\n", 1, true))
    assert.truthy(result.out:find("task 3\n", 1, true))
    assert.truthy(result.out:find("2\tnil\tsignal\n", 1, true))
  end))
end)

describe("a full disk", function()
  it("under the program's own output is an error at its end", clean(function()
    local result = shell([[
      for i, result in lk.map({}, function(_, n) return n end, { 1, 2, 3 }, { n_jobs = 2 }) do print(result) end]],
      "exec $LKRUN SCRIPT >/dev/full")
    assert.equal(1, result.status)
    assert.equal("lkrun: standard output: a write failed; some of the output is lost\n", result.err)
  end))

  it("under what workers print is an error at its end", clean(function()
    local result = shell([[
      for i, result in lk.map({}, function(_, n) print(n) return n end, { 1, 2, 3 }, { n_jobs = 2 }) do end]],
      "exec $LKRUN SCRIPT >/dev/full")
    assert.equal(1, result.status)
    assert.equal("lkrun: standard output: No space left on device; some of the output is lost\n", result.err)
  end))

  it("under messages does not stop the program", clean(function()
    local result = shell([[
      local log = lk.log.get "test"
      for i, result in lk.map({}, function(_, n)
        io.stderr:write "noise\n"
        log:info("task %d", n)
        return n
      end, { 1, 2, 3 }, { n_jobs = 2, progress = true }) do print(result) end]], "exec $LKRUN SCRIPT 2>/dev/full")
    assert.equal(0, result.status)
    assert.equal("1\n2\n3\n", result.out)
  end))
end)

describe("a stream closed at the start", function()
  -- No other file may get the number of the closed stream; else what is printed would go into that file.
  for name, line in pairs {
    ["standard input"] = "exec $LKRUN SCRIPT <&-", ["standard error"] = "exec $LKRUN SCRIPT 2>&-",
    ["all but standard output"] = "exec $LKRUN SCRIPT <&- 2>&-",
  } do
    it(name .. ": the program works", clean(function()
      local file <close> = setup.file ""
      local result = shell(([[
        local file <close> = io.open(%q, "w")
        local inv <close> = lk.invoker({}, function(_, n)
          print("out " .. n)
          io.stderr:write("err " .. n .. "\n")
          assert(io.read "l" == nil)
          return n * 2
        end, { n_jobs = 2 })
        for i, result in inv:map { 1, 2, 3 } do file:write(result, "\n") end]]):format(file.path), line)
      assert.equal(0, result.status)
      local written <close> = io.open(file.path)
      assert.equal("2\n4\n6\n", written:read "a")
      for i = 1, 3 do assert.truthy(result.out:find("out " .. i .. "\n", 1, true)) end
    end))
  end

  it("standard output: what is printed is an error", clean(function()
    local result = shell([[
      local inv <close> = lk.invoker({}, function(_, n) return n * 2 end, { n_jobs = 2 })
      for i, result in inv:map { 1, 2, 3 } do io.stderr:write(result, "\n") end
      print "lost"]], "exec $LKRUN SCRIPT >&-")
    assert.equal(1, result.status)
    assert.equal("2\n4\n6\nlkrun: standard output: a write failed; some of the output is lost\n", result.err)
  end))

  it("standard output: a program that prints nothing works", clean(function()
    local result = shell([[
      local inv <close> = lk.invoker({}, function(_, n) return n * 2 end, { n_jobs = 2 })
      for i, result in inv:map { 1, 2, 3 } do io.stderr:write(result, "\n") end]], "exec $LKRUN SCRIPT >&-")
    assert.equal(0, result.status)
    assert.equal("2\n4\n6\n", result.err)
  end))
end)
