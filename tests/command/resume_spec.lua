local lk = require "lkrun"
local new_folder = require "tests.support.folder"
local program = require "tests.support.program"

local PATIENCE <const> = 200 -- seconds
local killer = program.executable:match "^(.*)/[^/]*$" .. "/tests/killer.so"

describe("lkrun map --resume", function()
  local folder

  before_each(function() folder = new_folder() end)
  after_each(function() folder:remove() end)

  local function write(name, text) folder:write(name, text) end
  local function read(name) return folder:read(name) end
  local function path(name) return folder:path(name) end
  local function entries() return folder:entries() end
  local function run(command, environment) return folder:lkrun(command, environment) end

  local function assert_done(result)
    assert.equal(0, result.status, result.err)
    return result
  end

  -- An environment with the killer in it.
  local function preloaded(variable)
    return ("%s LD_PRELOAD=%s ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0"):format(variable, killer)
  end

  local function write_tasks(count)
    local lines = {}
    for i = 1, count do lines[i] = "t" .. i end
    write("tasks.txt", table.concat(lines, "\n"))
  end

  -- The worker that runs the task named by $VICTIM kills the host. Each task takes a little time, and tasks end
  -- out of order.
  local OPERATION <const> = [[
    local host = io.open("/proc/self/stat"):read "n"
    local victim = os.getenv "VICTIM"
    return function(_, line)
      if line == victim then os.execute("kill -9 " .. host) end
      local r = math.random(1000000)
      for _ = 1, r % 40 * 500 do end
      if r % 7 == 0 then return nil end
      if r % 5 == 0 then return { { task = line, r = r }, { task = line, r = -r } } end
      return { task = line, r = r }
    end]]

  describe("after a kill", function()
    local COUNT <const> = 300

    before_each(function()
      write_tasks(COUNT)
      write("op.lua", OPERATION)
      assert_done(run "map op.lua --tasks tasks.txt --output whole.csv --seed 11 --jobs 1")
    end)

    -- One run: returns whether it ended by itself, and was not killed.
    local function live(n, environment)
      local command = "map op.lua --tasks tasks.txt --output out.csv --seed 11 --resume --jobs %d"
      local result = run(command:format(n % 3 + 1), environment)
      if result.status == 0 then return true end
      assert.equal(137, result.status, result.err)
      return false
    end

    -- Runs until so many runs were killed. The output of each run that is not killed is the whole.
    local function kill_often(times, environment_of)
      local kills, ends = 0, 0
      math.randomseed(20261122)
      while kills < times do
        if live(kills, environment_of()) then
          ends = ends + 1
          assert.equal(read "whole.csv", read "out.csv")
          os.remove(path "out.csv")
        else
          kills = kills + 1
          local early = read "out.csv"
          assert.truthy(early == nil or early == read "whole.csv")
        end
      end
      if not live(0) then error "a run that nobody killed died" end
      assert.equal(read "whole.csv", read "out.csv")
      assert.is_nil(read "out.csv.lkrun-journal")
      return ends
    end

    it("at any of its writes goes on, and the output is that of an undisturbed run", function()
      kill_often(50, function() return preloaded("LKRUN_KILL_AT=" .. math.random(1, 14)) end)
    end)

    it("at any task goes on, and the output is that of an undisturbed run", function()
      kill_often(50, function() return ("VICTIM=t%d"):format(math.random(1, COUNT + COUNT // 3)) end)
    end)

    it("does not run again what was done", function()
      write("op.lua", [[
        return function(_, line)
          local file <close> = io.open("ran", "a")
          file:write(line, "\n")
          if line == "t200" and os.getenv "WAIT" then
            -- killed once most of what was done is in the journal
            repeat local journal <close> = io.open "out.txt.lkrun-journal" until journal:seek "end" > 1600 + 190 * 32
            os.execute("kill -9 " .. WAITING)
          end
          return line
        end]])
      write("op.lua", read "op.lua":gsub("^", [[WAITING = io.open("/proc/self/stat"):read "n" ]]))
      local result = run("map op.lua --tasks tasks.txt --output out.txt --resume --jobs 2", "WAIT=1")
      assert.equal(137, result.status, result.err)
      local before = select(2, read "ran":gsub("\n", ""))
      result = assert_done(run "map op.lua --tasks tasks.txt --output out.txt --resume")
      local done = tonumber(result.err:match "(%d+) results are there already")
      assert.truthy(done >= 190)
      assert.equal(COUNT - done, select(2, read "ran":gsub("\n", "")) - before)
      assert.equal(read "tasks.txt" .. "\n", read "out.txt")
    end)
  end)

  it("keeps the random numbers of a seed that was drawn", function()
    write_tasks(40)
    write("op.lua", [[
      return function(_, line)
        if line == "t40" and os.getenv "FAIL" then error("not yet", 0) end
        return { r = math.random(0) }
      end]])
    assert.equal(1, run("map op.lua --tasks tasks.txt --output out.csv --resume", "FAIL=1").status)
    local journal = read "out.csv.lkrun-journal"
    local seed = journal:match '"seed":(%-?%d+)'
    assert.is_nil(read "out.csv")
    assert_done(run "map op.lua --tasks tasks.txt --output out.csv --resume")
    assert_done(run("map op.lua --tasks tasks.txt --output whole.csv --seed=" .. seed))
    assert.equal(read "whole.csv", read "out.csv")
    assert.equal("op.lua out.csv tasks.txt whole.csv", entries())
  end)

  describe("with another run's journal", function()
    -- A run that fails at its last task leaves a journal; then something changes.
    local function leave_journal()
      write_tasks(10)
      write("op.lua", [[
        local other = require "other"
        return function(model, line)
          if line == "t10" and os.getenv "FAIL" then error("not yet", 0) end
          return other .. line
        end]])
      write("other.lua", "return 'v1 '")
      write("save.lua", [[require("lkrun").save("m.npy", require("lkrun").tensor.arange(1, tonumber(arg[1])))]])
      assert_done(run "save.lua 3")
      local command = "map op.lua --model m.npy --tasks tasks.txt --output out.txt --resume --seed 1"
      assert.equal(1, run(command, "FAIL=1").status)
    end

    local changes = {
      { "the operation %(other%)", function() write("other.lua", "return 'v2 '") end },
      { "the operation %(OP.lua%)", function() write("op.lua", read "op.lua" .. "\n") end },
      { "the model", function() assert_done(run "save.lua 4") end },
      { "the tasks", function() write_tasks(11) end },
      { "%-%-seed", function() return "--seed 2" end },
      { "%-%-shard", function() return "--shard 1/2" end },
      { "%-%-op%-args", function() return "--op-args 1" end },
      { "the format", function() return "--format lines,jsonl" end },
    }
    for _, case in ipairs(changes) do
      it("starts afresh, or with =strict fails, naming " .. case[1], function()
        leave_journal()
        local more = case[2]() or "--seed 1"
        local command = "map op.lua --model m.npy --tasks tasks.txt --output out.txt %s --resume%s"
        local result = run(command:format(more, "=strict"))
        assert.equal(1, result.status)
        assert.matches(case[1] .. " changed", result.err)
        assert.is_nil(read "out.txt")
        result = assert_done(run(command:format(more, "")))
        assert.matches(case[1] .. " changed; starting afresh", result.err)
      end)
    end

    it("goes on where nothing has changed", function()
      leave_journal()
      local result = assert_done(run "map op.lua --model m.npy --tasks tasks.txt --output out.txt --resume=strict")
      assert.matches("%d results are there already", result.err)
    end)
  end)

  it("keeps what is in flight when a task fails", function()
    write_tasks(2)
    write("op.lua", [[return function(_, line)
      if line == "t2" then
        local ran <close> = io.open("ran", "a")
        ran:write "x"
        io.open("begun", "w"):close()
        if os.getenv "FAIL" then repeat local failed = io.open "failed" until failed end
      elseif os.getenv "FAIL" then
        repeat local begun = io.open "begun" until begun
        io.open("failed", "w"):close()
        error("not yet", 0)
      end
      return line
    end]])
    local result = run("map op.lua --tasks tasks.txt --output out.txt --resume --jobs 2", "FAIL=1")
    assert.equal(1, result.status)
    assert.matches("task 1, tasks.txt:1 .*: not yet", result.err)
    assert_done(run "map op.lua --tasks tasks.txt --output out.txt --resume")
    assert.equal("x", read "ran")
    assert.equal("t1\nt2\n", read "out.txt")
  end)

  it("refuses a second run on a live journal, with the holder's host, process and Slurm job", function()
    write_tasks(4)
    write("op.lua", [[return function(_, line)
      io.open("begun", "w"):close()
      repeat local go = io.open "go" until go
      return line
    end]])
    local result = run(([[true
      SLURM_JOB_ID=4711 LK_NUM_PROCS=2 LK_PROGRESS=none $LKRUN map op.lua --tasks tasks.txt --output a.txt \
        --resume --journal j 2>first & pid=$!
      until [ -e begun ]; do :; done
      $LKRUN map op.lua --tasks tasks.txt --output b.txt --resume --journal j
      echo $? $pid $(hostname) >second
      touch go
      wait $pid || cat first; true]]):gsub("^", "-e '' ; "))
    local status, pid, host = read "second":match "(%d+) (%d+) (%S+)"
    assert.equal("1", status)
    local told = ("lkrun: map: j: another run has it: host %s, process %s, Slurm job 4711; "):format(host, pid)
    assert.truthy(result.err:find(told, 1, true), result.err)
    assert.equal("t1\nt2\nt3\nt4\n", read "a.txt")
    assert.equal("a.txt begun first go op.lua second tasks.txt", entries())
  end)

  it("keeps what is in flight when SIGTERM comes, and leaves no worker", function()
    write_tasks(50)
    write("op.lua", [[return function(_, line)
      if line == "t3" then
        local ran <close> = io.open("ran", "a")
        ran:write "x"
      end
      if line == "t3" and os.getenv "HANG" then
        io.open("begun", "w"):close()
        repeat local go = io.open "term" until go
      end
      return line
    end]])
    -- A run that is interrupted gives its running tasks half a second. On a busy machine that may be too
    -- little, so this tries again.
    local start = lk.clock()
    repeat
      run([[-e ''
        rm -f begun term ran a.txt
        HANG=1 LK_PROGRESS=none $LKRUN map op.lua --tasks tasks.txt --output a.txt --resume --jobs 2 2>messages & pid=$!
        until [ -e begun ]; do :; done
        kill -TERM $pid
        : >term
        wait $pid
        echo $? >status
        for worker in $(ps -o pid= --ppid $pid); do echo $worker >>left; done]])
      assert.equal("143\n", read "status")
      assert.matches("lkrun: map: interrupted; the results so far are in a.txt.lkrun%-journal", read "messages")
      assert.is_nil(read "left")
      assert.is_nil(read "a.txt")
      assert_done(run "map op.lua --tasks tasks.txt --output a.txt --resume")
      assert.equal(read "tasks.txt" .. "\n", read "a.txt")
      if read "ran" == "x" then return end
    until lk.clock() - start > PATIENCE
    error "what was in flight was lost"
  end)

  it("tells that the disk is full, and goes on when there is room", function()
    write_tasks(5000)
    write("op.lua", [[return function(_, line)
      if os.getenv "FAIL" and line == "t5000" then error("not yet", 0) end
      return line .. ('x'):rep(math.random(20))
    end]])
    assert_done(run "map op.lua --tasks tasks.txt --output whole.txt --seed 3")
    local command = "map op.lua --tasks tasks.txt --output out.txt --seed 3 --resume"
    local function assert_full(file, at)
      local result = run(command, preloaded("LKRUN_FULL_AT=" .. at))
      assert.equal(1, result.status)
      assert.equal(file, result.err:match "lkrun: map: (out.txt%S*): [^\n]*No space left on device\n$")
      assert.is_nil(read "out.txt")
    end
    for at = 1, 3 do assert_full("out.txt.lkrun-journal", at) end
    assert.equal(1, run(command .. " --on-error skip", "FAIL=1").status)
    os.remove(path "out.txt")
    assert_full("out.txt", 4) -- the first three writes are the journal's, the fourth is the output's
    assert_done(run(command))
    assert.equal(read "whole.txt", read "out.txt")
    assert.equal("op.lua out.txt tasks.txt whole.txt", entries())
  end)

  it("writes no journal through a link, into a foreign file, or of a newer version", function()
    write_tasks(2)
    write("op.lua", "return function(_, line) return line end")
    write("precious", "do not touch")
    os.execute("ln -s precious " .. path "link")
    write("newer", "lkrun-journal 2\n" .. (" "):rep(600))
    for name, pattern in pairs { link = "link", precious = "not a journal of lkrun", newer = "version 2" } do
      local result = run("map op.lua --tasks tasks.txt --output out.txt --resume --journal " .. name)
      assert.equal(1, result.status)
      assert.matches("^lkrun: map: " .. name .. ": .*" .. pattern, result.err)
    end
    assert.equal("do not touch", read "precious")
    assert.is_nil(read "out.txt")
  end)

  it("passes over what is broken at the journal's end", function()
    write_tasks(30)
    write("op.lua", [[return function(_, line)
      if line == "t30" and os.getenv "FAIL" then error("not yet", 0) end
      return line
    end]])
    assert.equal(1, run("map op.lua --tasks tasks.txt --output out.txt --resume", "FAIL=1").status)
    local whole = read "out.txt.lkrun-journal"
    for cut = 500, #whole, 97 do
      for _, tail in ipairs { "", ("\0"):rep(100), whole:sub(1, 60) } do
        write("out.txt.lkrun-journal", whole:sub(1, cut) .. tail)
        assert_done(run "map op.lua --tasks tasks.txt --output out.txt --resume")
        assert.equal(read "tasks.txt" .. "\n", read "out.txt")
        os.remove(path "out.txt")
      end
    end
  end)

  it("runs again only what failed, after --on-error skip", function()
    write_tasks(20)
    write("op.lua", [[return function(_, line)
      local file <close> = io.open("ran", "a")
      file:write(line, "\n")
      if os.getenv "FAIL" and line:find "5$" then error("no", 0) end
      return line
    end]])
    local command = "map op.lua --tasks tasks.txt --output out.txt --resume --on-error skip --failed bad.jsonl"
    local result = run(command, "FAIL=1")
    assert.equal(1, result.status)
    assert.equal(18, select(2, read "out.txt":gsub("\n", "")))
    os.remove(path "ran")
    assert_done(run(command))
    assert.equal("t15\nt5\n", (read "ran":gsub("^t5\nt15\n$", "t15\nt5\n")))
    assert.equal(read "tasks.txt" .. "\n", read "out.txt")
    assert.equal("", read "bad.jsonl")
  end)

  it("needs files that can be read once more, and names", function()
    write_tasks(2)
    write("op.lua", "return function(_, line) return line end")
    for arguments, pattern in pairs {
      ["--tasks - --format lines --output a.txt --resume"] = "standard input",
      ["--tasks tasks.txt --output - --format lines --resume"] = "expected %-%-journal FILE",
      ["--tasks tasks.txt --output a.txt --journal j"] = "without %-%-resume; expected both",
      ["--tasks tasks.txt --output a.txt --resume --journal a.txt"] = "another file of this run",
      ["--tasks <(cat tasks.txt) --format lines --output a.txt --resume"] = "can't be read once more",
      ["--tasks tasks.txt --output a.txt --resume=maybe"] = "'maybe' is unknown",
    } do
      local result = run("map op.lua " .. arguments)
      assert.equal(2, result.status)
      assert.matches(pattern, result.err)
    end
  end)
end)
