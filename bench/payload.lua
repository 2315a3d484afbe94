-- payload: a tensor of 64 MiB goes out as a task and comes back as a result: GB moved in a second, both ways
-- counted, compared with memcpy of as many bytes between buffers whose pages exist already.
local lk = require "lkrun"
local bare = require "bare"
local measure = require "measure"

local BYTES <const> = 64 << 20
local tensor = lk.tensor.ones { BYTES // 8 }
local inv <close> = lk.invoker(0, function(_, task) return task end, { n_jobs = 2 })

local function there_and_back()
  local start = lk.clock()
  local result = inv:submit(tensor):get()
  local seconds = lk.clock() - start
  assert(result:get(BYTES // 8) == 1)
  return 2 * BYTES / seconds
end

local speed = measure.rounds(15, {
  payload = there_and_back,
  memcpy = function() return BYTES / bare.copy(BYTES) end,
})
measure.report("payload.gbs", measure.scaled(speed.payload, 1e-9))
measure.report("payload.memcpy.gbs", measure.scaled(speed.memcpy, 1e-9))
measure.report("payload.ratio", measure.ratio(speed.payload, speed.memcpy), ">= 0.5")
