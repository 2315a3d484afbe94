-- What surrounds a program: limits, another host, a debugger's hooks.
local program = require "tests.support.program"

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
  -- Runs `text` in lua5.4, which a second signal would end at once: a test sends it only one.
  local function run(text)
    local script = os.tmpname()
    do
      local file <close> = assert(io.open(script, "w"))
      file:write('local lk, host = require "lkrun", io.open "/proc/self/stat":read "n"\n', text)
    end
    local command = "LUA_CPATH='%s/lib/?.so;;' exec timeout -s KILL 100 lua5.4 %s"
    local result = program.shell(command:format(folder, script))
    os.remove(script)
    assert.equal("", result.err)
    return result.out
  end

  for what, text in pairs {
    ["it waits for a map"] = [[
      local inv = lk.invoker(nil, function(_, pid) -- never ends by itself
        io.popen("kill -INT " .. pid):close()
        while true do end
      end, { n_jobs = 2 })
      local ok, message = pcall(function() inv:map({ host })() end)]],
    ["it waits for a future"] = [[
      local inv = lk.invoker(nil, function(_, pid)
        io.popen("kill -INT " .. pid):close()
        while true do end
      end, { n_jobs = 2 })
      local ok, message = pcall(function() inv:submit(host):get() end)]],
    ["it makes tasks, and does not wait for those before"] = [[
      local inv = lk.invoker(nil, function() while true do end end, { n_jobs = 2 })
      local ok, message = pcall(function()
        inv:map(function(_, last)
          if last then io.popen("kill -INT " .. host):close() end
          return (last or 0) + 1
        end)()
      end)]],
    ["a task is run in place, and the error is not the task's"] = [[
      local inv = lk.invoker(nil, function(_, pid)
        io.popen("kill -INT " .. pid):close()
        while true do end
      end, { n_jobs = 1, on_error = "return" })
      local ok, message = pcall(function() inv:map({ host })() end)]],
  } do
    it("is interrupted while " .. what, function()
      if (os.getenv "LKRUN_SAN" or "") ~= "" then return pending "a sanitized core needs a sanitized Lua" end
      assert.equal("false\tinterrupted!\n", run(text .. [[

        print(ok, (tostring(message):gsub(".*: ", "")))
        inv:shutdown()]]))
    end)
  end
end)
