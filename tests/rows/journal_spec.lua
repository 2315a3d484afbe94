-- What a journal promises about the disk. A machine that stops may lose whatever no sync has brought to the disk;
-- tests/faults/killer.c writes down how large the file was at each sync.
local new_folder = require "tests.support.folder"
local program = require "tests.support.program"

local killer = program.executable:match "^(.*)/[^/]*$" .. "/tests/killer.so"

-- A result is written 20 ms after it came, so that so many results that come one by one take a second.
local WITHIN <const> = 50

describe("the journal of a batch", function()
  it("is on the disk but for what the last second gave, while results come and when they stay away", function()
    local folder <close> = new_folder()
    local lines = {}
    for i = 1, WITHIN + 2 do lines[i] = "t" .. i end
    folder:write("tasks.txt", table.concat(lines, "\n") .. "\n")
    -- A task ends once the result of the one before it is written, so results come all the time, one by one. The
    -- last task waits until all other results are on the disk, and then kills the run.
    folder:write("op.lua", [[
      local lk = require "lkrun"
      local host = io.open("/proc/self/stat"):read "n"
      local function size() local file <close> = io.open "journal" return file:seek "end" end
      local function synced()
        local file <close>, last = io.open "syncs", 0
        for line in file and file:lines() or function() end do last = tonumber(line) or last end
        return last
      end
      local function await(condition)
        local start = lk.clock()
        repeat
          if lk.clock() - start > 200 then error("waited in vain", 0) end
        until condition()
      end
      local written, first
      return function(_, line)
        if written then await(function() return size() > written end) end
        written = size()
        if line == "t2" then first = written end
        if line == LAST and os.getenv "LKRUN_SYNC_LOG" then
          local known <close> = io.open("known", "w")
          known:write(synced() >= first and "in time" or "late")
          known:close()
          await(function() return synced() >= written end)
          os.execute("kill -9 " .. host)
        end
        return line
      end]])
    folder:write("op.lua", ("local LAST = 't%d'\n"):format(#lines) .. folder:read "op.lua")
    local command = "map op.lua --tasks tasks.txt --output out.txt --resume --journal journal --jobs 1"
    local result = folder:lkrun(command,
      ("LKRUN_SYNC_LOG=syncs LD_PRELOAD=%s ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0")
        :format(killer))
    assert.equal(137, result.status, result.err)
    assert.equal("in time", folder:read "known")
    -- What a machine that stopped would leave: what was synced, and at best zeros for the rest.
    local kept = tonumber(folder:read "syncs":match "(%d+)\n$")
    folder:write("journal", folder:read "journal":sub(1, kept) .. ("\0"):rep(100))
    result = folder:lkrun(command)
    assert.equal(0, result.status, result.err)
    assert.equal(#lines - 1, tonumber(result.err:match "(%d+) results are there already"), result.err)
    assert.equal(folder:read "tasks.txt", folder:read "out.txt")
  end)
end)
