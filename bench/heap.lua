-- heap.memory: the model is HEAP_MIB (1024) MiB of Lua tables; two workers run HEAP_TASKS (1,000,000) allocating
-- tasks each while the host allocates, too. The figure is the growth of the proportional set size of all processes,
-- as a share of the model.
local lk = require "lkrun"
local measure = require "measure"
local memory = require "memory"

local MIB <const> = measure.option("HEAP_MIB", 1024)
local TASKS <const> = 2 * measure.option("HEAP_TASKS", 1000000)

local before = memory.pss()
local model = {}
repeat
  for _ = 1, 10000 do
    local n = #model + 1
    model[n] = { n, n + 0.5, { n } }
  end
until collectgarbage "count" >= MIB * 1024
collectgarbage()

local function allocate(tables, i)
  local row = tables[i % #tables + 1]
  local made = {}
  for k = 1, 8 do made[k] = { row[1], k } end
  return made[8][1] + #made
end

-- Returns how much more memory all processes held at most than the host alone had, as a share of the model.
local function growth()
  collectgarbage()
  local alone = memory.pss()
  local inv <close> = lk.invoker(model, allocate, { n_jobs = 2 })
  local most, kept = 0, nil
  for i, result in inv:map(measure.integers(TASKS)) do
    kept = { result, tostring(i), kept and kept[1] } -- the host allocates
    if i % (TASKS // 10) == 0 then most = math.max(most, memory.pss()) end
  end
  return (most - alone) / (alone - before)
end

measure.report("heap.model.mib", { memory.pss() - before })
measure.report("heap.memory", measure.rounds(5, { growth = growth }).growth, "<= 0.10")
