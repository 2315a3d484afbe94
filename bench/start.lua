-- start: the time of `lkrun -e ''`, from before the process starts until after it has ended.
local bare = require "bare"
local measure = require "measure"

local programs = {
  lkrun = function() return bare.spawn(arg[-1], "-e", "") end,
  ["true"] = function() return bare.spawn "true" end,
}
if bare.spawn("lua5.4", "-e", "") then
  programs.lua = function() return bare.spawn("lua5.4", "-e", "") end
end
local seconds = measure.rounds(101, programs)
measure.report("start.ms", measure.scaled(seconds.lkrun, 1e3), "<= 4")
if seconds.lua then measure.report("start.lua.ms", measure.scaled(seconds.lua, 1e3)) end
measure.report("start.true.ms", measure.scaled(seconds["true"], 1e3))
