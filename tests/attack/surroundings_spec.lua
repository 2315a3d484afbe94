-- What surrounds a program: limits, another host, a debugger's hooks.
local program = require "tests.program"

local folder = program.executable:match "^(.*)/[^/]*$"

describe("a limit on the size of files", function()
  it("below the size of shared memory is an error, not the end", function()
    local result = program.run([[
      local lk = require "lkrun"
      print(pcall(lk.tensor.ones, { 20000 }))
      print(pcall(lk.invoker, nil, print, { n_jobs = 2 }))
    ]], { before = "prlimit --fsize=8192" })
    assert.equal("exit", result.how)
    assert.equal(0, result.status, result.err)
    local count = 0
    for line in result.out:gmatch "[^\n]+" do
      assert.truthy(line:find("File too large; raise the limit, ulimit -f", 1, true), line)
      count = count + 1
    end
    assert.equal(2, count)
  end)

  it("above what is needed makes the region smaller", function()
    program.output([[
      local lk = require "lkrun"
      local inv <close> = lk.invoker(lk.tensor.ones { 20000 }, function(m, task) return m:get(task) end, { n_jobs = 2 })
      assert(inv:collect { 1, 2, 3 }[3] == 1)
    ]], { before = "prlimit --fsize=1000000000" })
  end)
end)

describe("a program in a stock Lua", function()
  for _, case in ipairs { "processes map", "processes future" } do
    local kind, wait = case:match "(%a+) (%a+)"
    it(("is interrupted while it waits for a %s of %s"):format(wait, kind), function()
      if (os.getenv "LKRUN_SAN" or "") ~= "" then return pending "a sanitized core needs a sanitized Lua" end
      -- The task never ends by itself. The first signal is all that lua5.4 takes.
      local script = os.tmpname()
      do
        local file <close> = assert(io.open(script, "w"))
        file:write(([[
          local lk = require "lkrun"
          local host = io.open "/proc/self/stat":read "n"
          local inv = lk.invoker(nil, function(_, pid)
            io.popen("kill -INT " .. pid):close()
            while true do end
          end, { n_jobs = 2, workers = %q })
          local ok, message = pcall(function()
            if %q == "map" then inv:map({ host })() else inv:submit(host):get() end
          end)
          print(ok, (tostring(message):gsub(".*: ", "")))
          inv:shutdown()
        ]]):format(kind, wait))
      end
      local command = "LUA_CPATH='%s/lib/?.so;;' exec timeout -s KILL 200 lua5.4 %s"
      local result = program.shell(command:format(folder, script))
      os.remove(script)
      assert.equal("", result.err)
      assert.equal("false\tinterrupted!\n", result.out)
    end)
  end
end)
