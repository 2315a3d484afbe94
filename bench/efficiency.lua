-- efficiency: for tasks that keep a CPU busy for 1 ms, for 10 ms, and for uneven (Pareto) times, the time inside
-- tasks divided by 2 workers × wall time. For comparison: the CPU time inside tasks divided by the same (time in
-- which other programs run counts as lost), the share of a CPU that the slower of two plain processes gets, and for
-- uneven tasks the best value that a pool can reach which gives each task to the first free worker.
local lk = require "lkrun"
local bare = require "bare"
local measure = require "measure"

local function busy(_, seconds)
  local start, cpu = lk.clock(), os.clock()
  repeat until lk.clock() - start >= seconds
  return lk.clock() - start, os.clock() - cpu
end

local function constant(count, seconds)
  local tasks = {}
  for i = 1, count do tasks[i] = seconds end
  return tasks
end

-- The same lengths in every run: a Pareto distribution with exponent 1.5.
local function pareto(count, least)
  local state, tasks = 12345, {}
  for i = 1, count do
    state = (state * 1103515245 + 12345) & 0x7fffffff
    tasks[i] = least * (1 - state / 0x80000000) ^ (-1 / 1.5)
  end
  return tasks
end

local function best(tasks)
  local free, sum = { 0, 0 }, 0
  for _, seconds in ipairs(tasks) do
    local worker = free[1] <= free[2] and 1 or 2
    free[worker] = free[worker] + seconds
    sum = sum + seconds
  end
  return sum / (2 * math.max(free[1], free[2]))
end

local inv <close> = lk.invoker(0, busy, { n_jobs = 2 })

local function run(tasks, cpu_shares)
  local start, inside, cpu = lk.clock(), 0, 0
  for _, seconds, cpu_seconds in inv:map(tasks) do
    inside = inside + seconds
    cpu = cpu + cpu_seconds
  end
  local wall = lk.clock() - start
  cpu_shares[#cpu_shares + 1] = cpu / (2 * wall)
  return inside / (2 * wall)
end

local function report(name, tasks, goal)
  if not measure.is_wanted("efficiency." .. name) then return end
  local cpu_shares = {}
  local shares = measure.rounds(5, {
    inside = function() return run(tasks, cpu_shares) end,
    machine = function() return 0.2 / bare.spinners(2, 0.2) end,
  })
  measure.report(("efficiency.%s"):format(name), shares.inside, goal)
  measure.report(("efficiency.%s.cpu"):format(name), cpu_shares)
  measure.report(("efficiency.%s.machine"):format(name), shares.machine)
end

report("1ms", constant(2000, 1e-3), ">= 0.98")
report("10ms", constant(200, 1e-2), ">= 0.99")
local uneven = pareto(2000, 5e-4)
report("pareto", uneven, ">= 0.97")
if measure.is_wanted "efficiency.pareto" then measure.report("efficiency.pareto.best", { best(uneven) }) end
