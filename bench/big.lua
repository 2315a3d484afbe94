-- big.first: with a model of 1 GiB, the time from lk.invoker to the first result, compared with a bare fork of the
-- same process. big.memory: after two workers have read all of the model, the proportional set size of all
-- processes minus the model's bytes.
local lk = require "lkrun"
local bare = require "bare"
local measure = require "measure"
local memory = require "memory"

local LENGTH <const> = 2 ^ 27 | 0
local MODEL_MIB <const> = 1024
local model = lk.tensor.ones { LENGTH }

local function peek(m, i) return m:get(i) end

local function first()
  local start = lk.clock()
  local inv <close> = lk.invoker(model, peek, { n_jobs = 2 })
  local step = inv:map { 1 }
  local _, result = step()
  local seconds = lk.clock() - start
  assert(result == 1)
  return seconds
end

local function over_the_model()
  local inv <close> = lk.invoker(model, function(m) return m:sum() end, { n_jobs = 2 })
  local most = 0
  for _, sum in inv:map { 1, 2, 3, 4 } do
    assert(sum == LENGTH)
    most = math.max(most, memory.pss())
  end
  for _, worker in ipairs(inv:stats().workers) do assert(worker.tasks > 0, "a worker has read nothing") end
  return most - MODEL_MIB
end

if measure.is_wanted "big.first" then
  local seconds = measure.rounds(21, { first = first, fork = bare.fork })
  measure.report("big.first.ms", measure.scaled(seconds.first, 1e3), "<= 3")
  measure.report("big.first.fork.ms", measure.scaled(seconds.fork, 1e3))
end
if measure.is_wanted "big.memory" then
  local alone = memory.pss() - MODEL_MIB
  local mib = measure.rounds(5, { memory = over_the_model })
  measure.report("big.memory.mib", mib.memory, "<= 8")
  measure.report("big.memory.alone.mib", { alone }) -- before any worker exists
end
