-- trace: the cost of a timeline at 10,000 tasks a second, with 2 workers and tasks of 0.2 ms of work. The work is a
-- fixed number of steps, not a fixed time, so that CPU time that the host takes from the workers shows. The figure
-- is the time with a timeline divided by the time without, minus 1. `wall` is the time that passes; `cpu` is the CPU
-- time of all processes, which also holds on a busy machine. The same is measured with a million null tasks.
local lk = require "lkrun"
local measure = require "measure"

local rounds = measure.option("TRACE_RUNS", 9)
local count = measure.option("TRACE_TASKS", 5000)

local function work(_, steps)
  local x = 0
  for i = 1, steps do x = x + i % 7 end
  return x
end

-- Returns the number of steps that take 0.2 ms on this machine.
local function calibrate()
  local steps = 1000
  while true do
    local start = os.clock()
    for _ = 1, 20 do work(nil, steps) end
    local each = (os.clock() - start) / 20
    if each > 1e-4 then return math.floor(steps * 2e-4 / each) end
    steps = steps * 2
  end
end

-- Returns the CPU seconds of this process and of its children that have ended.
local function cpu_seconds()
  local file <close> = assert(io.open "/proc/self/stat")
  local numbers = {}
  for number in file:read("a"):match "^.*%) (.*)$":gmatch "%-?%d+" do numbers[#numbers + 1] = tonumber(number) end
  return (numbers[11] + numbers[12] + numbers[13] + numbers[14]) / 100
end

local path = os.tmpname()

local function run(func, tasks, trace)
  local cpu = cpu_seconds()
  local inv <close> = lk.invoker(0, func, { n_jobs = 2, trace = trace })
  local start = lk.clock()
  for _ in inv:map(tasks) do end -- luacheck: ignore
  local wall = lk.clock() - start
  inv:shutdown()
  return wall, cpu_seconds() - cpu
end

local function compare(name, func, make_tasks, runs, goal)
  local wall, cpu = { {}, {} }, { {}, {} }
  for round = 1, runs do
    wall[1][round], cpu[1][round] = run(func, make_tasks(), nil)
    wall[2][round], cpu[2][round] = run(func, make_tasks(), path)
  end
  local function excess(samples)
    return measure.each(samples[2], samples[1], function(with, without) return with / without - 1 end)
  end
  measure.report("trace." .. name .. ".wall", excess(wall), goal)
  measure.report("trace." .. name .. ".cpu", excess(cpu))
  return wall
end

if measure.is_wanted "trace.10k" then
  local steps = calibrate()
  local tasks = {}
  for i = 1, count do tasks[i] = steps end
  local wall = compare("10k", work, function() return tasks end, rounds, "<= 0.02")
  measure.report("trace.10k.rate", measure.each(wall[1], wall[1], function(seconds) return count / seconds end))
end
if measure.is_wanted "trace.null" then
  compare("null", function() end, function() return measure.integers(1000000) end, 3)
end
os.remove(path)
