-- roundtrip: submits one task, takes its result, then submits the next; compared with 8 bytes that go to a child and
-- back over two pipes.
local lk = require "lkrun"
local bare = require "bare"
local measure = require "measure"

local COUNT <const> = 10000
local inv <close> = lk.invoker(0, function(_, task) return task end, { n_jobs = 2 })

local function roundtrip()
  local start = lk.clock()
  for i = 1, COUNT do assert(inv:submit(i):get() == i) end
  return (lk.clock() - start) / COUNT
end

local seconds = measure.rounds(15, { roundtrip = roundtrip, pipe = function() return bare.pipes(COUNT) end })
measure.report("roundtrip.us", measure.scaled(seconds.roundtrip, 1e6))
measure.report("roundtrip.pipe.us", measure.scaled(seconds.pipe, 1e6))
measure.report("roundtrip.ratio", measure.ratio(seconds.roundtrip, seconds.pipe), "<= 1.2")
