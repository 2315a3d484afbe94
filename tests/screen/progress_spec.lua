local program = require "tests.support.program"
local terminal = require "tests.support.terminal"

local function count(text, part)
  local found, at = 0, 1
  while true do
    local _, stop = text:find(part, at, true)
    if not stop then return found end
    found, at = found + 1, stop + 1
  end
end

local function lines_of(text)
  local lines = {}
  for line in text:gmatch "[^\n]+" do lines[#lines + 1] = line end
  return lines
end

local function quietly(code)
  return program.output("local lk = require 'lkrun'\n" .. code, { env = { LK_PROGRESS = "none" } })
end

describe("a display", function()
  it("moves tasks between the three states", function()
    assert.equal("3 0 0\n2 1 0\n2 0 1\n2 0 6\n2 0 5\n", quietly [[
      local p = lk.invoke_progress{label = "x", total = 10}
      local function show() print(p.dispatched .. " " .. p.in_progress .. " " .. p.finished) end
      p:update(3, "dispatched") show()
      p:update(1, "in-progress", "dispatched") show()
      p:update(1, "finished", "in-progress") show()
      p:update(5) show()
      p:update(-1) show()]])
  end)

  it("takes its options by name or by position, the logger as an object or a name", function()
    assert.equal("train als 7 rows\ntrain als 7 rows\nnil nil nil tasks\n", quietly [[
      local function show(p) print(p.logger, p.label, p.total, p.unit) end
      local function show(p) io.write(table.concat({tostring(p.logger), tostring(p.label),
        tostring(p.total), p.unit}, " "), "\n") end
      show(lk.invoke_progress{logger = lk.log.get "train", label = "als", total = 7, unit = "rows"})
      show(lk.invoke_progress("train", "als", 7, "rows"))
      show(lk.invoke_progress{})]])
  end)

  it("says what is wrong with a call", function()
    local out = quietly [[
      local p = lk.invoke_progress{total = 10}
      local function try(f, ...) print(select(2, pcall(f, ...))) end
      try(p.update, p, 1.5)
      try(p.update, p, "2")
      try(p.update, p, 1, "done")
      try(p.update, p, 1, "finished", "waiting")
      try(p.update, p, 1, "finished", "dispatched")
      p:update(math.maxinteger)
      try(p.update, p, math.maxinteger)
      print(p.dispatched, p.in_progress)
      p:finish() p:finish()
      try(p.update, p, 1)
      try(lk.invoke_progress, {totl = 3})
      try(lk.invoke_progress, {total = -1})
      try(lk.invoke_progress, {total = 1.5})
      try(lk.invoke_progress, {label = {}})
      try(lk.invoke_progress, 3)]]
    assert.same({
      "lkrun: progress:update: n is 1.5; expected a whole number",
      "lkrun: progress:update: n is '2'; expected a whole number",
      "lkrun: progress:update: 'done' is not a state; expected dispatched, in-progress or finished",
      "lkrun: progress:update: 'waiting' is not a state; expected dispatched, in-progress or finished",
      "lkrun: progress:update: dispatched has 0 tasks; moving -1 leaves too few",
      "lkrun: progress:update: finished has 9223372036854775807 tasks; moving 9223372036854775807 leaves too many",
      "0\t0",
      "lkrun: progress:update: the display has ended; make another one",
      "lkrun: lk.invoke_progress: unknown option 'totl' (did you mean 'total'?); there are label, logger, total, unit",
      "lkrun: lk.invoke_progress: the total is -1; expected a whole number from 0 on, or nil",
      "lkrun: lk.invoke_progress: the total is 1.5; expected a whole number from 0 on, or nil",
      "lkrun: lk.invoke_progress: the label is a table; expected a string",
      "lkrun: lk.invoke_progress: the logger is a number; expected a string",
    }, lines_of(out))
  end)

  it("ends with its scope, and when it is collected", function()
    local _, err = program.output([[
      local lk = require "lkrun"
      do local p <close> = lk.invoke_progress{label = "scope", total = 2} p:update(2) end
      lk.invoke_progress{label = "dropped", total = 4}:update(1)
      collectgarbage()
      io.stderr:write "then\n"]], { env = { LK_PROGRESS = "lines" } })
    local lines = lines_of(err)
    assert.equal(3, #lines)
    assert.matches("^%d%d:%d%d:%d%d%.%d%d%d INFO progress: scope: 2/2 tasks %(100%%%) in 0:00, .*/s$", lines[1])
    assert.matches("INFO progress: dropped: 1/4 tasks %(25%%%) in 0:00", lines[2])
    assert.equal("then", lines[3])
  end)
end)

describe("LK_PROGRESS", function()
  it("that is not a way to show progress is named", function()
    local result = program.run([[require "lkrun".invoke_progress{}]], { env = { LK_PROGRESS = "fancy" } })
    assert.equal(1, result.status)
    assert.matches('lkrun: LK_PROGRESS: "fancy" is not a way to show progress; expected auto, bar, lines, json or none',
      result.err, 1, true)
  end)

  it("is lines where standard error is not a terminal, under the display's logger", function()
    for _, value in ipairs { "", "auto", "bar", "lines" } do
      local _, err = program.output([[
        local lk = require "lkrun"
        lk.invoke_progress{logger = "train", label = "als", total = 2, unit = "rows"}:finish()]],
        { env = { LK_PROGRESS = value } })
      assert.matches("^%S+ INFO train: als: 0/2 rows %(0%%%) in 0:00\n$", err)
    end
  end)

  it("writes lines as the log level says", function()
    local _, err = program.output([[require "lkrun".invoke_progress{total = 2}:finish()]],
      { env = { LK_LOG_LEVEL = "warn" } })
    assert.equal("", err)
  end)

  it("json writes the first and the last state, at most two a second between", function()
    local _, err = program.output([[
      local lk = require "lkrun"
      local p = lk.invoke_progress{label = "\xff\"", total = 100000}
      for _ = 1, 1e5 do p:update(1, "finished") end
      p:finish()]], { env = { LK_PROGRESS = "json" } })
    local lines = lines_of(err)
    local took = tonumber(lines[#lines]:match '"elapsed":([%d.]+)')
    assert.is_true(#lines >= 2 and #lines <= 2 + 2 * took)
    assert.matches('"label":"?\\"","unit":"tasks","total":100000,"dispatched":0,"in_progress":0,"finished":0,',
      lines[1], 1, true)
    assert.matches('"finished":100000,.*"ended":true}$', lines[#lines])
  end)
end)

describe("LK_PROGRESS_DIR", function()
  local function with_folder(code, env)
    local folder = os.tmpname()
    os.remove(folder)
    assert(os.execute("mkdir " .. folder))
    local variables = { LK_PROGRESS_DIR = folder, FOLDER = folder }
    for name, value in pairs(env or {}) do variables[name] = value end
    local result = program.run("local lk = require 'lkrun'\n" .. code, { env = variables })
    local files = {}
    local list <close> = assert(io.popen("ls " .. folder))
    for name in list:lines() do
      local file <close> = assert(io.open(folder .. "/" .. name))
      files[#files + 1] = { name = name, text = file:read "a" }
    end
    os.execute("rm -r " .. folder)
    return result, files
  end

  local pid = [[
    local pipe = io.popen "echo $PPID"
    local pid = pipe:read "l"
    pipe:close()
    local host = io.popen "uname -n":read "l"]]

  it("gets a file named by host and process, with the first and the last state", function()
    local result, files = with_folder(pid .. [[
      print(host .. "-" .. pid)
      local p = lk.invoke_progress{label = "users", total = 3}
      p:update(1, "dispatched") p:update(1, "in-progress")
      p:update(1)
      p:finish()]])
    assert.equal("", result.err)
    assert.equal(1, #files)
    assert.equal(result.out:match "%S+" .. ".jsonl", files[1].name)
    local lines = lines_of(files[1].text)
    assert.is_true(#lines >= 2)
    local host, process = result.out:match "^(%S+)%-(%d+)\n"
    for _, line in ipairs(lines) do
      assert.matches('^{"version":1,"time":%d+%.?%d*,', line)
      assert.matches(('"host":"%s","pid":%s,'):format(host, process), line, 1, true)
      assert.matches('"label":"users","unit":"tasks","total":3,', line, 1, true)
    end
    assert.matches('"dispatched":0,"in_progress":0,"finished":0,', lines[1], 1, true)
    assert.matches('"dispatched":1,"in_progress":1,"finished":1,.*"ended":true}$', lines[#lines])
  end)

  it("says which job it is once that is set", function()
    local _, files = with_folder [[
      local core = require "lkrun.core.progress"
      core.set_job '{"rule": "train", "wildcards": {"k": "20"}, "outputs": ["m.lkm"]}'
      print(pcall(core.set_job, "[1"))
      lk.invoke_progress{}:finish()]]
    assert.matches('"rule":"train","wildcards":{"k":"20"},"outputs":["m.lkm"],', files[1].text, 1, true)
    assert.matches('"total":null,', files[1].text, 1, true)
  end)

  it("never writes to what stands there already, nor through a link", function()
    local result, files = with_folder(pid .. [[
      local folder = os.getenv "FOLDER"
      os.execute(("ln -s %s/target %s/%s-%s.jsonl"):format(folder, folder, host, pid))
      io.open(folder .. "/target", "w"):close()
      lk.invoke_progress{}:finish()
      for name in io.popen("ls " .. folder):lines() do print(name) end]])
    local names = lines_of(result.out)
    assert.equal(3, #names)
    for _, file in ipairs(files) do
      assert.equal(file.name:find "%-2%.jsonl$" ~= nil, file.text ~= "", file.name)
    end
  end)

  it("says that a task in place is in progress, from the first one on", function()
    local result = with_folder [[
      local function op(_, task)
        local files = io.popen "cat $LK_PROGRESS_DIR/*"
        for line in files:lines() do
          if line:find '"in_progress":1,"finished":0,' then return task end
        end
      end
      print(lk.invoker(nil, op, { n_jobs = 1, progress = true }):collect({ 7 })[1])]]
    assert.equal("7\n", result.out, result.err)
  end)

  it("that can't be written to is not an error", function()
    local result = program.run([[require "lkrun".invoke_progress{total = 1}:finish() print "on"]],
      { env = { LK_PROGRESS_DIR = "/proc/no/such" } })
    assert.same({ "on\n", "", 0 }, { result.out, result.err, result.status })
  end)
end)

describe("on a terminal", function()
  local one = [[
    local p <close> = lk.invoke_progress{label = "recommend", total = 200, unit = "users"}
    p:update(50) p:update(20, "in-progress") p:update(40, "dispatched")
    wait(p)
    p:update(150)
    p:update(-20, "in-progress") p:update(-40, "dispatched")]]

  it("a bar shows the three states, and its last one stays", function()
    local t <close> = terminal.run(one)
    local screen = t:expect "50/200 users"
    assert.matches("^recommend  25%% ▕[█]+[▒]+[·]+ +▏  50/200 users", screen)
    t:open_gate()
    screen = t:expect "status 0"
    assert.matches("^recommend 100%% ▕[█]+▏  200/200 users  [%d.]+k?/s  %d+:%d%d\nstatus 0$", screen)
  end)

  it("the bar is ASCII where the locale is not UTF-8", function()
    local t <close> = terminal.run(one, { env = { LANG = "C" } })
    assert.matches("^recommend  25%% %[#+=+%.+ +%]  50/200 users", (t:expect "50/200 users"))
  end)

  it("the bar has colours, and none with NO_COLOR", function()
    local coloured <close> = terminal.run(one)
    assert.matches("\27[32m", coloured:expect("50/200 users", true), 1, true)
    local plain <close> = terminal.run(one, { env = { NO_COLOR = "1" } })
    assert.is_nil(plain:expect("50/200 users", true):find("\27", 1, true))
  end)

  it("there is no bar with TERM=dumb, but lines", function()
    local t <close> = terminal.run(one, { env = { TERM = "dumb" } })
    t:open_gate()
    local screen = t:expect "status 0"
    assert.is_nil(screen:find("▕", 1, true))
    assert.matches("INFO progress: recommend: 200/200 users (100%) in", screen, 1, true)
  end)

  it("nothing is drawn with LK_PROGRESS=none", function()
    local t <close> = terminal.run(one, { env = { LK_PROGRESS = "none" } })
    t:open_gate()
    assert.equal("status 0", (t:expect "status 0"))
  end)

  it("a narrow one drops parts and never wraps", function()
    for _, columns in ipairs { 60, 40, 25, 12, 4 } do
      local t <close> = terminal.run(one, { columns = columns })
      local screen = t:expect "25"
      assert.equal(1, #lines_of(screen))
      assert.equal(columns >= 40, screen:find("█", 1, true) ~= nil, screen)
      assert.equal(columns >= 60, screen:find("50/200 users", 1, true) ~= nil, screen)
    end
  end)

  it("the bar follows the width", function()
    local t <close> = terminal.run(one)
    t:expect "50/200 users"
    t:resize(30)
    local screen = t:expect(function(text) return text:find "^recommend  25%%" and not text:find "users" end)
    assert.equal(1, #lines_of(screen))
    t:resize(100)
    screen = t:expect "50/200 users"
    assert.equal(1, #lines_of(screen))
    t:open_gate()
    screen = t:expect "status 0"
    assert.equal(2, #lines_of(screen))
    assert.equal(1, count(screen, "recommend"))
  end)

  it("what the program writes goes above the bar, however it writes", function()
    local t <close> = terminal.run [[
      local early_print, early_write = print, io.write
      local p <close> = lk.invoke_progress{label = "bar", total = 4}
      p:update(1) early_print "line 1"
      p:update(1) early_write("line ", 2, "\n")
      io.write "line " io.stdout:write "3\n"
      io.stderr:write("line ", 4, "\n")
      lk.log.get "x":info "line 5"
      warn "@on" warn "line 6" -- C code: fprintf
      wait(p)
      io.write "line 7 without end"]]
    local screen = t:expect "2/4"
    local lines = lines_of(screen)
    for i = 1, 4 do assert.equal("line " .. i, lines[i]) end
    assert.matches("^%S+ INFO x: line 5$", lines[5])
    assert.equal("Lua warning: line 6", lines[6])
    assert.matches("^bar  50%%", lines[7])
    assert.equal(7, #lines)
    t:open_gate()
    lines = lines_of(t:expect "status 0")
    assert.matches("^bar  50%%", lines[7])
    assert.equal("line 7 without endstatus 0", lines[8])
  end)

  it("an unfinished line of the program's is not overwritten", function()
    local t <close> = terminal.run [[
      local p <close> = lk.invoke_progress{label = "bar", total = 4}
      io.write "name? " io.stdout:flush()
      wait(p)
      io.write "thanks\n"
      wait(p, "2")]]
    t:expect(function(text) return text == "name?" end)
    t:open_gate()
    assert.matches("^name%? thanks\nbar   0%%", (t:expect "bar"))
  end)

  it("a thousand lines around a bar arrive whole and in order", function()
    local t <close> = terminal.run([[
      local p <close> = lk.invoke_progress{label = "bar", total = 1000}
      for i = 1, 1000 do p:update(1) print("<" .. i .. ">") end]], { rows = 1100 })
    local screen = t:expect "status 0"
    local expected = {}
    for i = 1, 1000 do expected[i] = "<" .. i .. ">" end
    local lines = lines_of(screen)
    assert.matches("^bar 100%%", lines[1001])
    assert.same(expected, { table.unpack(lines, 1, 1000) })
  end)

  it("several displays are stacked, and one that ends stays above", function()
    local t <close> = terminal.run [[
      local a = lk.invoke_progress{label = "epochs", total = 3}
      local b = lk.invoke_progress{label = "rows", total = 5}
      a:update(1) b:update(2)
      wait(a)
      b:finish()
      wait(a, "2")
      a:finish()]]
    local screen = t:expect "2/5"
    assert.matches("^epochs  33%%.*\nrows    40%%", screen)
    t:open_gate()
    screen = t:expect(function(text) return text:find "^rows" end)
    assert.matches("^rows  40%%.*\nepochs  33%%", screen)
    t:open_gate "2"
    screen = t:expect "status 0"
    assert.matches("^rows  40%%.*\nepochs  33%%.*\nstatus 0$", screen)
  end)

  it("more displays than rows leave the screen in order", function()
    local t <close> = terminal.run([[
      local all = {}
      for i = 1, 20 do all[i] = lk.invoke_progress{label = "number " .. i, total = 2} end
      wait(all[1])
      for i = 20, 2, -1 do all[i]:finish() end
      wait(all[1], "2")
      all[1]:finish()]], { rows = 8 })
    local screen = t:expect "14 more)"
    assert.matches("^number 1 .*number 6 .*\n%(and 14 more%)$", screen)
    t:open_gate()
    t:expect(function(text) return text:find "number 1 [^\n]*$" end)
    t:open_gate "2"
    screen = t:expect "status 0"
    assert.matches("number 3 .*\nnumber 2 .*\nnumber 1 .*\nstatus 0$", screen)
  end)

  it("output that goes through a pipe to the same terminal is not mixed in", function()
    local t <close> = terminal.run([[
      local p <close> = lk.invoke_progress{label = "bar", total = 3}
      for i = 1, 3 do p:update(1) print("line " .. i) wait(p, tostring(i)) end]],
      { command = '"$LKRUN" "$SCRIPT" | cat' })
    for i = 1, 3 do
      t:expect(function(text) return text:find("line " .. i .. "\nbar") end)
      t:open_gate(tostring(i))
    end
    assert.matches("^line 1\nline 2\nline 3\nbar 100%%[^\n]*\nstatus 0$", (t:expect "status 0"))
  end)

  it("Ctrl-C leaves the terminal in order", function()
    local t <close> = terminal.run [[
      local p = lk.invoke_progress{label = "bar", total = 3}
      print "before"
      while true do p:update(0) end]]
    t:expect "bar   0%"
    t:keys "C-c"
    local screen = t:expect "status 130"
    assert.equal(1, count(screen, "bar"))
    assert.matches("^before\n", screen)
    assert.matches("\nstatus 130$", screen)
  end)

  it("Ctrl-Z takes the bar off, and going on brings it back", function()
    local t <close> = terminal.run([[
      local p = lk.invoke_progress{label = "bar", total = 3}
      wait(p)]], { command = [[set -m; "$LKRUN" "$SCRIPT"; echo stopped; cat "$GATE-go"; fg %1 >/dev/null]] })
    os.execute("mkfifo " .. t.gate .. "-go")
    t:expect "bar   0%"
    t:keys "C-z"
    local screen = t:expect "stopped"
    assert.is_nil(screen:find("bar ", 1, true))
    os.execute("echo going on > " .. t.gate .. "-go")
    t:expect(function(text) return text:find "going on\nbar   0%%" end)
    t:open_gate()
    assert.matches("going on\nbar   0%%[^\n]*\nstatus 0$", (t:expect "status 0"))
  end)

  it("a held terminal (Ctrl-S) does not hold the work", function()
    local t <close> = terminal.run [[
      local p <close> = lk.invoke_progress{label = "bar", total = 1000000000}
      wait(p)
      local shown = lk.clock()
      while lk.clock() < shown + 0.5 do p:update(1) end
      io.open(os.getenv "GATE" .. "-worked", "w"):close()
      wait(p, "2")]]
    t:expect "bar   0%"
    t:keys "C-s"
    t:open_gate()
    t:expect(function() return io.open(t.gate .. "-worked") end)
    t:open_gate "2"
    t:keys "C-q"
    t:expect "status 0"
  end)

  it("a program that just exits leaves no bar behind", function()
    local t <close> = terminal.run [[
      local p = lk.invoke_progress{label = "bar", total = 3}
      print "before"
      wait(p)
      os.exit(3)]]
    t:expect "bar   0%"
    t:open_gate()
    assert.equal("before\nstatus 3", (t:expect "status 3"))
  end)

  it("nothing is drawn when LK_PROGRESS_DIR is watched", function()
    local t <close> = terminal.run(one, { env = { LK_PROGRESS_DIR = "/proc/no/such" } })
    t:open_gate()
    assert.equal("status 0", (t:expect "status 0"))
  end)

  it("the module in a stock Lua shows the same", function()
    if (os.getenv "LKRUN_SAN" or "") ~= "" then
      pending "a stock Lua can't load a module built with a sanitizer"
      return
    end
    local module = program.executable:gsub("[^/]*$", "lib/?.so")
    local t <close> = terminal.run(one, {
      env = { LUA_CPATH = module, LUA_CPATH_5_4 = module },
      command = 'lua5.4 "$SCRIPT"',
    })
    assert.matches("^recommend  25%% ▕[█]+[▒]+[·]+ +▏  50/200 users", (t:expect "50/200 users"))
    t:open_gate()
    assert.matches("recommend 100%", t:expect "status 0", 1, true)
  end)
end)
