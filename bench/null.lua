-- null: a null operation over a million integers of an iterator, in µs for each task, compared with the same
-- iterator consumed in place, and passed through the barest relay to another process and back.
local lk = require "lkrun"
local measure = require "measure"
local relay = require "relay"

local count = measure.option("NULL_TASKS", 1000000)

local inv <close> = lk.invoker(0, function(_, task) return task end, { n_jobs = 2 })
for _ in inv:map(measure.integers(1000)) do end -- afterwards the workers are running

local function null()
  local start, sum = lk.clock(), 0
  for _, result in inv:map(measure.integers(count)) do sum = sum + result end
  assert(sum == count * (count + 1) // 2)
  return lk.clock() - start
end

local function in_place()
  local start, sum = lk.clock(), 0
  for result in measure.integers(count) do sum = sum + result end
  assert(sum == count * (count + 1) // 2)
  return lk.clock() - start
end

local function relayed()
  local start, sum = lk.clock(), 0
  for _, result in relay(measure.integers(count)) do sum = sum + result end
  assert(sum == count * (count + 1) // 2)
  return lk.clock() - start
end

local seconds = measure.rounds(11, { null = null, in_place = in_place, relayed = relayed })
measure.report("null.us", measure.scaled(seconds.null, 1e6 / count), "<= 0.12")
measure.report("null.inplace.us", measure.scaled(seconds.in_place, 1e6 / count))
measure.report("null.ratio", measure.ratio(seconds.null, seconds.in_place), "<= 2.5")
measure.report("null.relay.us", measure.scaled(seconds.relayed, 1e6 / count))
measure.report("null.relay.ratio", measure.ratio(seconds.relayed, seconds.in_place))
