-- soak: SOAK_TASKS tasks through one invoker: the growth of memory, descriptors and processes after the first
-- tenth. The pool's buffers for results that wait for an earlier task grow to the largest size that was ever needed,
-- and keep it. So one task of the first tenth lasts until the pool pulls no more tasks: later tasks never need more
-- room than that.
-- SOAK_SERIES=FILE writes the measurements after every hundredth of the tasks as CSV, SOAK_CHART=FILE draws them.
local lk = require "lkrun"
local measure = require "measure"
local memory = require "memory"

local count = measure.option("SOAK_TASKS", 100000000)
local step = math.max(count // 100, 1)
local long = 2 * step
local pulled = lk.tensor.zeros { 1 }

local function work(_, task)
  if task == long then
    local before, since = -1, lk.clock()
    repeat
      local now = pulled:get(1)
      if now ~= before then before, since = now, lk.clock() end
    until lk.clock() - since > 1
  end
  return task
end

local function tasks()
  local next = measure.integers(count)
  return function()
    local task = next()
    if task and task % 4096 == 0 then pulled:set(1, task) end
    return task
  end
end

local inv <close> = lk.invoker(0, work, { n_jobs = 2, writable = { pulled } })
local seen = {} -- filled in advance, so that the table of measurements does not grow the memory that is measured
for k = 1, count // step do
  seen[k] = { tasks = 0, seconds = 0.0, mib = 0.0, descriptors = 0, zombies = 0, processes = 0 }
end

local start, sum = lk.clock(), 0
for i, result in inv:map(tasks()) do
  sum = sum + result
  if i % step == 0 then
    local row = seen[i // step]
    row.tasks, row.seconds, row.mib = i, lk.clock() - start, memory.own()
    row.descriptors, row.zombies, row.processes = memory.descriptors(), memory.zombies(), #memory.children() + 1
  end
end
assert(sum == count * (count + 1) // 2)

local early, late = seen[#seen // 10 + 1], seen[#seen]
local most = 0
for k = #seen // 10 + 1, #seen do most = math.max(most, seen[k].mib) end
measure.report("soak.tasks", { count })
measure.report("soak.us", { late.seconds / count * 1e6 })
measure.report("soak.memory.mib", { late.mib - early.mib }, "<= 0")
measure.report("soak.memory.most.mib", { most - early.mib })
measure.report("soak.memory.all.mib", { late.mib })
measure.report("soak.descriptors", { late.descriptors - early.descriptors }, "<= 0")
measure.report("soak.zombies", { late.zombies }, "<= 0")
measure.report("soak.processes", { late.processes - early.processes }, "<= 0")

local columns = { "tasks", "seconds", "mib", "descriptors", "zombies", "processes" }
local function write(path, text)
  local file <close> = assert(io.open(path, "w"))
  assert(file:write(text))
end
if os.getenv "SOAK_SERIES" then
  local lines = { table.concat(columns, ",") }
  for _, row in ipairs(seen) do
    lines[#lines + 1] = ("%d,%.3f,%.3f,%d,%d,%d"):format(row.tasks, row.seconds, row.mib, row.descriptors,
      row.zombies, row.processes)
  end
  write(os.getenv "SOAK_SERIES", table.concat(lines, "\n") .. "\n")
end
if os.getenv "SOAK_CHART" then
  write(os.getenv "SOAK_CHART", require "curves"(seen, "tasks", {
    { "mib", "memory of all processes, MiB" }, { "descriptors", "open descriptors" }, { "processes", "processes" },
  }))
end
