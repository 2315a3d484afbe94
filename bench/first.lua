-- first: the time from lk.invoker to the first result of a null operation, in a running lkrun. It is compared with
-- a bare fork of the same process, and with two forks until a message of the first child arrives.
-- first.cold is the first invoker of a process.
local lk = require "lkrun"
local bare = require "bare"
local measure = require "measure"

local function null(_, task) return task end

local function first()
  local start = lk.clock()
  local inv <close> = lk.invoker(0, null, { n_jobs = 2 })
  local step = inv:map { 1 }
  local _, result = step()
  local seconds = lk.clock() - start
  assert(result == 1)
  return seconds
end

local function cold()
  local pipe <close> = io.popen(("'%s' bench/first_cold.lua"):format(arg[-1]))
  return pipe:read "n"
end

local seconds = measure.rounds(51, { first = first, fork = bare.fork, forks = bare.forks })
measure.report("first.ms", measure.scaled(seconds.first, 1e3), "<= 0.5")
measure.report("first.fork.ms", measure.scaled(seconds.fork, 1e3))
measure.report("first.forks.ms", measure.scaled(seconds.forks, 1e3))
measure.report("first.cold.ms", measure.scaled(measure.rounds(11, { cold = cold }).cold, 1e3))
