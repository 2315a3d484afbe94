-- matvec: a 1000 by 1000 matrix times 2,000 vectors that are sent as tasks, with the results gathered: the speed
-- relative to the same loop in one process. Its limits: matvec.limit is what the two CPUs reach when nothing is
-- sent, with two tasks that make half of the products each and keep them; matvec.read.speedup is what they reach
-- when nothing is computed either, with two plain processes that only read as many bytes as the matrix has; and
-- matvec.read.gbs is the rate at which one process reads them.
local lk = require "lkrun"
local bare = require "bare"
local measure = require "measure"

local COUNT <const> = 2000
local BYTES <const>, READS <const> = 8 * 1000 * 1000, 250
local matrix = lk.tensor.randn { 1000, 1000 }
local vectors = {}
for i = 1, COUNT do vectors[i] = lk.tensor.randn { 1000 } end

local function multiply(model, vector) return model:mv(vector) end

local function multiply_many(model, part)
  for i = part, COUNT, 2 do multiply(model, vectors[i]) end
  return part
end

local inv <close> = lk.invoker(matrix, multiply, { n_jobs = 2 })
local whole <close> = lk.invoker(matrix, multiply_many, { n_jobs = 2 })

local function timed(f)
  return function()
    collectgarbage()
    local start = lk.clock()
    f()
    return lk.clock() - start
  end
end

local gathered, reference
local seconds = measure.rounds(7, {
  parallel = timed(function() gathered = inv:collect(vectors) end),
  read_one = function() return bare.readers(1, BYTES, 2 * READS) end,
  read_two = function() return bare.readers(2, BYTES, READS) end,
  limit = timed(function() whole:collect { 1, 2 } end),
  sequential = timed(function()
    reference = {}
    for i = 1, COUNT do reference[i] = multiply(matrix, vectors[i]) end
  end),
})
for i = 1, COUNT, 97 do
  for row = 1, 1000, 101 do
    assert(math.abs(gathered[i]:get(row) - reference[i]:get(row)) < 1e-6)
  end
end
measure.report("matvec.speedup", measure.ratio(seconds.sequential, seconds.parallel), ">= 1.8")
measure.report("matvec.limit", measure.ratio(seconds.sequential, seconds.limit))
measure.report("matvec.read.speedup", measure.ratio(seconds.read_one, seconds.read_two))
measure.report("matvec.read.gbs", measure.each(seconds.read_one, seconds.read_one, function(time)
  return 2 * READS * BYTES / time / 1e9
end))
measure.report("matvec.gbs", measure.each(seconds.sequential, seconds.sequential, function(time)
  return COUNT * BYTES / time / 1e9
end))
measure.report("matvec.us", measure.scaled(seconds.parallel, 1e6 / COUNT))
measure.report("matvec.sequential.us", measure.scaled(seconds.sequential, 1e6 / COUNT))
