-- What the fault specs share. Each fault is a test named after it, wrapped in setup.clean: it injects the
-- fault for real, and when it is over no process, descriptor or memory may be left. Nothing waits for a
-- time: eventually() waits for a condition, and gives up only after minutes.
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

--- Waits until condition() gives something true, and gives that.
function setup.eventually(condition, what)
  local until_time = lk.clock() + DEADLINE
  repeat
    local value = condition()
    if value then return value end
    fault.nap()
  until lk.clock() > until_time
  error("never came true: " .. what, 2)
end

--- Children of a process, of its main thread, oldest first.
function setup.children(pid)
  pid = pid or fault.pid()
  local pids = {}
  local list = lines_of(("/proc/%d/task/%d/children"):format(pid, pid))[1] or ""
  for child in list:gmatch "%d+" do pids[#pids + 1] = math.tointeger(child) end
  return pids
end

--- The state of a process: "R", "S", "T", "Z", ...; nil when there is none.
function setup.state(pid)
  local stat = lines_of(("/proc/%d/stat"):format(pid))[1]
  return stat and stat:match "%) (%a)"
end

-- What this process holds that a pool could leave behind.
local function holdings()
  collectgarbage()
  collectgarbage()
  local shared = 0 -- mappings of rings and the like
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

-- The region, the backend and the like are made once and stay.
local function warm_up()
  local inv <close> = lk.invoker({ lk.tensor.zeros { 100, 100 } }, function(_, n) return n end, { n_jobs = 2 })
  inv:collect { 1, 2, 3 }
end

-- Processes that programs of the test left behind came to this one, or come when those end that they
-- belong to: all must end by themselves.
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

--- The test, then the check that nothing is left, of this process or of the programs that it ran.
function setup.clean(test)
  return function()
    warm_up()
    fault.adopt()
    local before = holdings()
    test()
    collectgarbage() -- pools of the test end
    await_orphans(before.children)
    assert.same(before, holdings())
  end
end

--- Collects a map's results and errors into two tables by index, checks that each came once and in
--- order, and gives them with their number.
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

--- A file with this content whose name is given, removed at the end of the scope.
function setup.file(content)
  local path = os.tmpname()
  local file <close> = assert(io.open(path, "wb"))
  file:write(content)
  return setmetatable({ path = path }, { __close = function() os.remove(path) end })
end

-- What programs of the tests start with: lk, fault, setup.
setup.prelude = ([[
package.cpath = %q .. package.cpath
local lk, fault = require "lkrun", require "fault"
]]):format(folder .. "/tests/?.so;")

return setup
