-- Signals to a program with workers: it ends as a program without them would, and takes them along.
local setup = require "tests.faults.setup"
local program = require "tests.support.program"
local terminal = require "tests.support.terminal"
local fault, clean = setup.fault, setup.clean

-- The programs begin with this. ready(inv) tells the test the pids of all processes, and that it may send a signal.
local prelude = "io.stdout:setvbuf 'line'\n" .. setup.prelude .. [[
  local function ready(inv)
    local pids = { fault.pid(), inv:stats().template }
    for _, worker in ipairs(inv:stats().workers) do pids[#pids + 1] = worker.pid end
    print("ready " .. table.concat(pids, " "))
  end
  local function double(_, n)
    if n == "spin" then fault.spin() end
    if n == "stuck" then fault.stuck() end
    if n == "loop" then while true do end end
    if n == "program" then os.execute "exec tail -f /dev/null" end
    return n * 2
  end
]]

-- Runs the program as a job of the shell, and sends it one of the signals each time it is ready, to "parent" or
-- "group". Returns the result, without the lines that said ready; by then all processes of the program have ended.
local function interrupted(code, to, ...)
  local script <close> = setup.file(prelude .. code)
  local result = program.shell(([[
    set -m
    folder=$(mktemp -d)
    mkfifo $folder/output
    $LKRUN %s >$folder/output </dev/null &
    exec 3<$folder/output
    for signal in %s; do
      while read -r line <&3; do echo "$line"; case "$line" in ready*) break; esac; done
      kill -$signal -- %s$!
    done
    cat <&3
    rm -r $folder
    wait $!
    exit $?]]):format(script.path, table.concat({ ... }, " "), to == "group" and "-" or ""))
  for pids in result.out:gmatch "ready ([%d ]+)\n" do
    for pid in pids:gmatch "%d+" do
      setup.eventually(function()
        return pid == "0" or (setup.state(math.tointeger(pid)) or "Z") == "Z"
      end, "the end of process " .. pid)
    end
  end
  result.out = result.out:gsub("ready [%d ]+\n", "")
  return result
end

local STATUS = { INT = 130, TERM = 143 }

local function assert_interrupted(signal, result)
  assert.equal(STATUS[signal], result.status, result.err)
  assert.truthy(result.err:find "^lkrun: [^\n]*interrupted\n$", result.err)
end

-- Where a program may be when the signal comes; each says ready just before.
local places = {
  ["while tasks run"] = [[
    local inv = lk.invoker({}, double, { n_jobs = 2 })
    for i, result in inv:map { 1, 2, 3, "loop", "spin" } do
      print(i, result)
      if i == 3 then ready(inv) end
    end]],
  ["while workers are stuck in C and in programs"] = [[
    local inv <close> = lk.invoker({}, double, { n_jobs = 3 })
    for i, result in inv:map { 1, 2, 3, "stuck", "program" } do
      print(i, result)
      if i == 3 then ready(inv) end
    end]],
  ["in the loop's body"] = [[
    local inv <close> = lk.invoker({}, double, { n_jobs = 2 })
    for i, result in inv:map { 1, 2, 3, 4, 5 } do
      print(i, result)
      if i == 3 then
        ready(inv)
        while true do end
      end
    end]],
  ["in the generator"] = [[
    local inv <close> = lk.invoker({}, double, { n_jobs = 2 })
    for i, result in inv:map { 1, 2, 3 } do print(i, result) end
    for i, result in inv:map(function() ready(inv) while true do end end) do print "never" end]],
  ["in an endless map"] = [[
    local inv <close> = lk.invoker({}, double, { n_jobs = 2 })
    local function forever(_, n) return (n or 0) + 1 end
    for i, result in inv:map(forever) do
      if i <= 3 then print(i, result) end
      if i == 1000 then ready(inv) end
    end]],
  ["in a plain loop beside an idle pool"] = [[
    local inv <close> = lk.invoker({}, double, { n_jobs = 2 })
    for i, result in inv:map { 1, 2, 3 } do print(i, result) end
    ready(inv)
    while true do end]],
  ["while a future is waited for"] = [[
    local inv <close> = lk.invoker({}, double, { n_jobs = 2 })
    for i = 1, 3 do print(i, inv:submit(i):get()) end
    local future = inv:submit "stuck"
    ready(inv)
    future:get()]],
  ["in collect"] = [[
    local inv <close> = lk.invoker({}, double, { n_jobs = 2 })
    for i = 1, 3 do print(i, inv:submit(i):get()) end
    ready(inv)
    inv:collect { "loop", 1, 2, "stuck" }]],
}

for _, signal in ipairs { "INT", "TERM" } do
  for _, to in ipairs { "parent", "group" } do
    describe("SIG" .. signal .. " to the " .. to, function()
      for place, code in pairs(places) do
        it(place .. " ends the program and its processes", clean(function()
          local result = interrupted(code, to, signal)
          assert_interrupted(signal, result)
          assert.equal("1\t2\n2\t4\n3\t6\n", result.out)
        end))
      end

      it("twice in a row ends the program at once", clean(function()
        local result = interrupted([[
          local inv <close> = lk.invoker({}, double, { n_jobs = 2 })
          pcall(function()
            for i in inv:map { 1, "stuck" } do ready(inv) end
          end)
          local again <close> = setmetatable({}, { __close = function() print "closed" end })
          local over = lk.clock() + 0.1 -- two at once are one request
          repeat until lk.clock() > over
          ready(inv)
          while true do end]], to, signal, signal)
        assert.equal(STATUS[signal], result.status)
        assert.equal("", result.err)
        assert.equal("", result.out)
      end))

      it("can be caught, and the pool goes on", clean(function()
        local result = interrupted([[
          local inv <close> = lk.invoker({}, double, { n_jobs = 2 })
          print(pcall(function()
            for i in inv:map { 1, "loop" } do ready(inv) end
          end))
          local sum = 0
          for i, result in inv:map { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 } do sum = sum + result end
          print(sum)]], to, signal)
        assert.equal("false\tinterrupted\n110\n", result.out)
        assert.equal("", result.err)
        assert.equal(0, result.status)
      end))
    end)
  end
end

for _, signal in ipairs { "INT", "TERM" } do
  describe((signal == "INT" and "Ctrl-C" or "SIGTERM") .. " in the middle of a bar", function()
    for times = 1, 2 do
      it(times == 1 and "ends the program with the terminal in order" or "and again does so too", clean(function()
        local pids <close> = setup.file ""
        local screen <close> = terminal.run(setup.prelude .. ([[
          local inv <close> = lk.invoker({}, function(_, n)
            if n > 5 then fault.stuck() end
            return n
          end, { n_jobs = 2, progress = lk.invoke_progress { label = "working", total = 10 } })
          local guard <close> = setmetatable({}, { __close = function() if %d == 2 then while true do end end end })
          for i in inv:map { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 } do
            if i == 5 then
              local file <close> = io.open(%q, "w")
              file:write(fault.pid(), " ", inv:stats().template)
              for _, worker in ipairs(inv:stats().workers) do file:write(" ", worker.pid) end
              file:write "\n"
            end
          end]]):format(times, pids.path))
        screen:expect "5/10"
        local file <close> = setup.eventually(function() -- the bar may be drawn before the file is written
          local file = io.open(pids.path)
          if file:read "a":find "\n" then return file end
          file:close()
        end, "the processes of the program")
        file:seek "set"
        local host = file:read "n"
        if signal == "INT" then screen:keys "C-c" else fault.kill(host, signal) end
        if times == 2 then
          setup.eventually(function() -- two at once are one request
            return not fault.kill(host, signal)
          end, "the end of the program")
        end
        local shown = screen:expect("status " .. STATUS[signal])
        assert.truthy(("\n" .. shown):find("\nstatus " .. STATUS[signal], 1, true), shown)
        assert.equal(times == 1, shown:find "^lkrun: [^\n]*interrupted\n" ~= nil)
        file:seek "set"
        for pid in file:read "a":gmatch "%d+" do
          setup.eventually(function() return pid == "0" or (setup.state(math.tointeger(pid)) or "Z") == "Z" end,
            "the end of process " .. pid)
        end
      end))
    end
  end)
end

describe("standard output closed early", function()
  local function run(code)
    local script <close> = setup.file(prelude .. code)
    return program.shell(("{ $LKRUN %s; echo status $? >&3; } 3>&2 | head -1"):format(script.path))
  end

  it("by head -1, while results come", clean(function()
    local result = run [[
      local inv <close> = lk.invoker({}, double, { n_jobs = 2 })
      for i, result in inv:map(function(_, n) return (n or 0) + 1 end) do print(result) end]]
    assert.equal("2\n", result.out)
    assert.equal("status 141\n", result.err)
  end))

  it("by head -1, while workers print", clean(function()
    local result = run [[
      local inv <close> = lk.invoker({}, function(_, n) print "a line" return n end, { n_jobs = 2 })
      for i in inv:map(function(_, n) return (n or 0) + 1 end) do end]]
    assert.equal("a line\n", result.out)
    assert.equal("status 141\n", result.err)
  end))
end)
