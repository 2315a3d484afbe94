-- soak: SOAK_TASKS (10,000,000; the figure is 100,000,000) tasks through one invoker: growth of
-- memory, descriptors and zombies from the end of the first tenth to the end. SOAK_SERIES=FILE writes
-- what was seen at every hundredth as CSV.
local lk = require "lkrun"
local measure = require "measure"
local memory = require "memory"

local count = measure.option("SOAK_TASKS", 10000000)
local series <close> = os.getenv "SOAK_SERIES" and assert(io.open(os.getenv "SOAK_SERIES", "w")) or nil

local inv <close> = lk.invoker(0, function(_, task) return task end, { n_jobs = 2 })
local start, sum = lk.clock(), 0
local early, late

local function look()
  return { pss = memory.pss(), descriptors = memory.descriptors(), zombies = memory.zombies(),
    processes = #memory.children() }
end

if series then series:write "tasks,seconds,pss_mib,descriptors,zombies,processes\n" end
local step = math.max(count // 100, 1)
for i, result in inv:map(measure.integers(count)) do
  sum = sum + result
  if i % step == 0 then
    late = look()
    if i <= count // 10 + step then early = late end
    if series then
      series:write(("%d,%.3f,%.3f,%d,%d,%d\n"):format(i, lk.clock() - start, late.pss, late.descriptors,
        late.zombies, late.processes))
    end
  end
end
assert(sum == count * (count + 1) // 2)
measure.report("soak.tasks", { count })
measure.report("soak.us", { (lk.clock() - start) / count * 1e6 })
measure.report("soak.memory.mib", { late.pss - early.pss }, "<= 0.1")
measure.report("soak.descriptors", { late.descriptors - early.descriptors }, "<= 0")
measure.report("soak.zombies", { late.zombies }, "<= 0")
measure.report("soak.processes", { late.processes - early.processes }, "<= 0")
