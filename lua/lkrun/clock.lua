local core_clock = require "lkrun.core.clock"

--- Seconds on a clock that only goes forward (CLOCK_MONOTONIC): where it starts means nothing, the
--- difference of two readings is the time between them. It is the same clock in every process of a
--- machine, so readings of a worker and of the program can be compared.
---@return number seconds
local function clock() return core_clock() end

return clock
