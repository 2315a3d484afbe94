local program = require "tests.support.program"

local function contents(path)
  local file <close> = io.open(path, "rb")
  return file and file:read "a" or ""
end

local function write(path, text)
  local file <close> = assert(io.open(path, "wb"))
  file:write(text)
end

-- A folder for one test, its path without a trailing slash.
local function new_folder()
  local path = program.capture "mktemp -d"
  finally(function() os.execute("rm -r " .. path) end)
  return path
end

-- A program each of whose tasks appends to a file when it began and when it ended. `most` reads from that file how
-- many tasks ran at one time.
local noting = [[
  local lk = require "lkrun"
  local folder, tasks, jobs = arg[1], tonumber(arg[2]), tonumber(arg[3])
  local file = assert(io.open(folder .. "/events", "a"))
  file:setvbuf "full"
  local function note(kind) file:write(("%s %.9f\n"):format(kind, lk.clock())); file:flush() end
  local function run(_, task)
    note "1"
    local until_time = lk.clock() + 0.002
    while lk.clock() < until_time do end
    note "-1"
    return task * 2
  end
  local sum = 0
  for _, double in lk.map(nil, run, lk.WorkChunks(tasks, 1, tasks), { n_jobs = jobs }) do sum = sum + double end
]]
noting = noting:gsub("return task %* 2", "return task[1] * 2")

local function most_at_once(folder)
  local events = {}
  for step, time in contents(folder .. "/events"):gmatch "(%-?1) (%S+)" do
    events[#events + 1] = { tonumber(time), tonumber(step) }
  end
  table.sort(events, function(a, b) return a[1] < b[1] or (a[1] == b[1] and a[2] < b[2]) end)
  local running, most = 0, 0
  for _, event in ipairs(events) do
    running = running + event[2]
    most = math.max(most, running)
  end
  return most, #events
end

-- Tasks that end only when `count` of them run at one time.
local meeting = [[
  local lk = require "lkrun"
  local lfs = require "lfs"
  local folder, count = arg[1], tonumber(arg[2])
  local function met()
    local there = 0
    for name in lfs.dir(folder) do there = there + (name:find "^here" and 1 or 0) end
    return there >= count
  end
  local function run(_, task)
    io.open(folder .. "/here" .. task, "w"):close()
    local start = lk.clock()
    while not met() do assert(lk.clock() - start < 200, "nobody came") end
    return task
  end
  local tasks = {}
  for i = 1, count do tasks[i] = i end
  local results = lk.invoker(nil, run, { n_jobs = 4 }):collect(tasks)
  print("met " .. results.n)
]]

-- Runs make on this text in `folder`; $(LKRUN) is this interpreter.
local function make(folder, arguments, text)
  write(folder .. "/Makefile", text)
  return program.shell(("unset MAKEFLAGS MFLAGS MAKELEVEL; exec make --no-print-directory -C %s %s LKRUN=$LKRUN")
    :format(folder, arguments))
end

-- Runs `line` with a named pipe as the jobserver, in which these tokens lie. The output ends with the tokens that
-- are in the pipe afterwards.
local function with_tokens(folder, tokens, line)
  return program.shell(([[
    cd %s
    mkfifo server
    exec 9<>server
    printf %%s '%s' >&9
    export MAKEFLAGS="-j --jobserver-auth=fifo:$PWD/server"
    (exec 9>&-; %s)
    echo "status $?"
    timeout 20 head -c %d <&9 | fold -w 1 | sort | tr -d '\n'
    ]]):format(folder, tokens, line, #tokens))
end

describe("make's jobserver", function()
  it("bounds the workers that run in the whole tree of make -j", function()
    local folder = new_folder()
    write(folder .. "/job.lua", noting)
    local result = make(folder, "-j3", [[
all: a b c d
a b c d:; +$(LKRUN) job.lua $(CURDIR) 20 4
]])
    assert.equal("exit 0", result.how .. " " .. result.status, result.err)
    local most, events = most_at_once(folder)
    assert.equal(4 * 20 * 2, events)
    assert.is_true(most <= 3, ("%d ran at one time"):format(most))
    assert.equal("", result.err)
  end)

  it("lets one program use all slots of make -j", function()
    local folder = new_folder()
    write(folder .. "/job.lua", meeting)
    local result = make(folder, "-j3", "all:; +@$(LKRUN) job.lua $(CURDIR) 3\n")
    assert.equal("met 3\n", result.out, result.err)
  end)

  it("gives a worker of every kind its token", function()
    for _, kind in ipairs { "threads", "spawn" } do
      local folder = new_folder()
      write(folder .. "/job.lua", (meeting:gsub("n_jobs = 4", ("n_jobs = 4, workers = %q"):format(kind))))
      local result = with_tokens(folder, "ab", "$LKRUN job.lua . 3")
      assert.equal("met 3\nstatus 0\nab", result.out, result.err)
    end
  end)

  it("does not limit under make without -j", function()
    local folder = new_folder()
    write(folder .. "/job.lua", meeting)
    local result = make(folder, "", "all:; @$(LKRUN) job.lua $(CURDIR) 4\n")
    assert.equal("met 4\n", result.out, result.err)
  end)

  it("runs one worker and says so once where make closed its descriptors", function()
    local folder = new_folder()
    write(folder .. "/job.lua", noting .. "\n" .. noting:gsub("local ", "") .. "\nprint(sum)")
    local result = make(folder, "-j3", "all:; @$(LKRUN) job.lua $(CURDIR) 20 4\n")
    assert.equal("420\n", result.out, result.err)
    assert.equal(1, (most_at_once(folder)))
    local _, warnings = result.err:gsub("jobserver: MAKEFLAGS says %-%-jobserver%-auth=%d+,%d+, but these descriptors "
      .. "are not the two ends of one pipe; one worker runs at a time; begin the recipe's line with %+", "")
    assert.equal(1, warnings, result.err)
  end)

  it("does not trust descriptors of something else", function()
    local folder = new_folder()
    write(folder .. "/job.lua", noting .. "\nprint(sum)")
    local result = program.shell(([[
      cd %s
      mkfifo one two
      exec 5<>one 6<>two
      printf xxx >&5
      MAKEFLAGS=" -j4 --jobserver-auth=5,6 -- A=--jobserver-auth=7,8" $LKRUN job.lua . 10 4
      head -c 3 <&5]]):format(folder))
    assert.equal("110\nxxx", result.out, result.err)
    assert.matches("not the two ends of one pipe", result.err, 1, true)
    assert.equal(1, (most_at_once(folder)))
  end)

  it("names what it cannot read or open", function()
    for auth, text in pairs {
      ["three"] = "that is neither two descriptors nor fifo:PATH",
      ["-2,-2"] = "these descriptors are not the two ends of one pipe",
      ["fifo:/nowhere/at/all"] = "No such file or directory",
      ["fifo:/dev/null"] = "that is not a named pipe",
    } do
      local result = program.run([[
        local lk = require "lkrun"
        print(lk.invoker(nil, function(_, task) return task end, { n_jobs = 2 }):collect({ 1, 2, 3 }).n)
      ]], { env = { MAKEFLAGS = "--jobserver-auth=" .. auth } })
      assert.equal("3\n", result.out, result.err)
      assert.matches(("--jobserver-auth=%s, but %s; one worker runs at a time"):format(auth, text), result.err, 1, true)
    end
  end)

  it("leaves the descriptors of make as they are", function()
    local folder = new_folder()
    write(folder .. "/job.lua", noting)
    local result = make(folder, "-j3", [[
descriptor = $(firstword $(subst $(comma), ,$(patsubst --jobserver-auth=%,%,$(filter --jobserver-auth=%,$(MAKEFLAGS)))))
comma := ,
flags = grep flags /proc/self/fdinfo/$(descriptor) <&$(descriptor)
all:
	+@$(flags) > before
	+@$(LKRUN) job.lua $(CURDIR) 10 4
	+@$(flags) > after
]])
    assert.equal(0, result.status, result.err)
    assert.matches("^flags:", contents(folder .. "/before"))
    assert.equal(contents(folder .. "/before"), contents(folder .. "/after"))
  end)

  it("gets every token back as it was, whatever ended the program", function()
    local endings = {
      ["status 0"] = "",
      ["status 1"] = "error 'no more'",
      ["status 3"] = "os.exit(3)",
      ["status 130"] = "send 'INT'; while true do end",
      -- The program catches the first signal. It waits before it sends the second, which would else count as the
      -- same one.
      ["status 143"] = "pcall(function() send 'TERM'; while true do end end) "
        .. "local start = lk.clock() while lk.clock() < start + 0.1 do end send 'TERM' while true do end",
    }
    for status, ending in pairs(endings) do
      local folder = new_folder()
      write(folder .. "/job.lua", ([[
        local lk = require "lkrun"
        local function send(signal) io.popen("kill -" .. signal .. " $PPID"):close() end
        local inv = lk.invoker(nil, function(_, task) return task end, { n_jobs = 3 })
        local slow = lk.invoker(nil, function() while true do end end, { n_jobs = 3 })
        for i = 1, 3 do slow:submit(i) end
        for i in inv:map(function() return 1 end) do
          if i == 1000 then %s break end
        end]]):format(ending))
      local result = with_tokens(folder, "abcd", "exec $LKRUN job.lua 2>err")
      assert.equal(status .. "\nabcd", result.out, status .. contents(folder .. "/err"))
    end
  end)

  it("gives tokens back while its workers have nothing to do", function()
    local folder = new_folder()
    write(folder .. "/job.lua", [[
      local lk = require "lkrun"
      local inv = lk.invoker(nil, function(_, task) return task end, { n_jobs = 3 })
      inv:collect(lk.WorkChunks(1000, 1, 1000))
      os.execute("timeout 100 head -c 2 server >taken; cat taken >server")
      inv:collect(lk.WorkChunks(1000, 1, 1000))
    ]])
    local result = with_tokens(folder, "ab", "$LKRUN job.lua")
    assert.equal("status 0\nab", result.out, result.err)
    assert.equal(2, #contents(folder .. "/taken"))
  end)

  it("keeps a place's token when its worker dies", function()
    local folder = new_folder()
    write(folder .. "/job.lua", [[
      local lk = require "lkrun"
      local results = lk.invoker(nil, function(_, task)
        if task[1] % 100 == 0 then os.exit(3) end
        return task[1]
      end, { n_jobs = 3, on_error = "return" }):collect(lk.WorkChunks(1000, 1, 1000))
      local failed = 0
      for _ in pairs(results.errors) do failed = failed + 1 end
      print(failed)
    ]])
    local result = with_tokens(folder, "ab", "$LKRUN job.lua")
    assert.equal("10\nstatus 0\nab", result.out, result.err)
  end)
end)
