-- What the specs of faults share. Each fault is a test named after it and wrapped in setup.clean: it injects the fault
-- for real, and when it is over no process, descriptor or memory may be left. No test sleeps for a fixed time:
-- eventually() waits for a condition, and gives up only after minutes.
local assert = require "luassert"
local lk = require "lkrun"
local region = require "lkrun.core.region"
local program = require "tests.support.program"

local folder = program.executable:match "^(.*)/[^/]*$"
package.cpath = folder .. "/tests/?.so;" .. package.cpath
local fault = require "fault"

local setup = { fault = fault }

local DEADLINE = 120 -- seconds; a loaded machine under a sanitizer is slow

local function lines_of(path)
  local lines = {}
  local file = io.open(path)
  for line in file and file:lines() or function() end do lines[#lines + 1] = line end
  if file then file:close() end
  return lines
end

--- Waits until condition() returns something true, and returns that.
function setup.eventually(condition, what)
  local until_time = lk.clock() + DEADLINE
  repeat
    local value = condition()
    if value then return value end
    fault.nap()
  until lk.clock() > until_time
  error("never came true: " .. what, 2)
end

--- The children of the main thread of a process, oldest first.
function setup.children(pid)
  pid = pid or fault.pid()
  local pids = {}
  local list = lines_of(("/proc/%d/task/%d/children"):format(pid, pid))[1] or ""
  for child in list:gmatch "%d+" do pids[#pids + 1] = math.tointeger(child) end
  return pids
end

--- The state of a process, "R", "S", "T", "Z", ...; nil when the process no longer exists.
function setup.state(pid)
  local stat = lines_of(("/proc/%d/stat"):format(pid))[1]
  return stat and stat:match "%) (%a)"
end

-- Children, descriptors and memory of this process: what a pool could leave behind.
local function holdings()
  collectgarbage()
  collectgarbage()
  local shared = 0 -- the number of mappings of rings and other shared memory
  for _, line in ipairs(lines_of "/proc/self/maps") do
    if line:find("memfd:lkrun-", 1, true) or line:find("/dev/zero", 1, true) then shared = shared + 1 end
  end
  local descriptors = {}
  for number, target in pairs(fault.descriptors()) do descriptors[number] = target:gsub(":.*", "") end
  return {
    children = setup.children(),
    descriptors = descriptors,
    shared = shared,
    region = region.use().used,
  }
end

-- Makes the region, the backend and other things that are made once and stay, before `holdings` first counts.
local function warm_up()
  local inv <close> = lk.invoker({ lk.tensor.zeros { 100, 100 } }, function(_, n) return n end, { n_jobs = 2 })
  inv:collect { 1, 2, 3 }
end

-- Waits for the end of the processes that programs of the test have left behind, which this process has adopted. All
-- of them must end by themselves.
local function await_orphans(children)
  local known = {}
  for _, pid in ipairs(children) do known[pid] = true end
  repeat
    local orphan
    for _, pid in ipairs(setup.children()) do
      if not known[pid] then orphan = pid end
    end
    if orphan then
      setup.eventually(function() return (setup.state(orphan) or "Z") == "Z" end, "the end of process " .. orphan)
      fault.wait(orphan)
    end
  until not orphan
end

--- Runs the test, then checks that neither this process nor a program that it ran has left anything.
function setup.clean(test)
  return function()
    warm_up()
    fault.adopt()
    local before = holdings()
    test()
    collectgarbage() -- ends pools that the test dropped
    await_orphans(before.children)
    assert.same(before, holdings())
  end
end

--- Collects the results and errors of a map into two tables by index, checks that each came once and in order, and
--- returns them and their number.
function setup.gather(iterator, ...)
  local results, errors, count = {}, {}, 0
  local step, state, control, closing = iterator, ...
  local guard <close> = closing -- luacheck: ignore guard
  for i, result, err in step, state, control do
    count = count + 1
    assert.equal(count, i)
    results[i], errors[i] = result, err
  end
  return results, errors, count
end

--- Fails unless the pool still gives n * 2 for every n.
function setup.assert_goes_on(inv, double)
  local results, errors, count = setup.gather(inv:map(double or { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 }))
  assert.same({}, errors)
  assert.equal(10, count)
  for i = 1, 10 do assert.equal(2 * i, results[i]) end
end

--- A file with this content; its `path`. The file is removed at the end of the scope (local file <close>).
function setup.file(content)
  local path = os.tmpname()
  local file <close> = assert(io.open(path, "wb"))
  file:write(content)
  return setmetatable({ path = path }, { __close = function() os.remove(path) end })
end

-- The first lines of programs that the tests run: they define lk and fault.
setup.prelude = ([[
package.cpath = %q .. package.cpath
local lk, fault = require "lkrun", require "fault"
]]):format(folder .. "/tests/?.so;")

return setup
