local core_clock = require "lkrun.core.clock"

--- Seconds on a clock that only goes forward (CLOCK_MONOTONIC). One reading means nothing; the difference of
--- two is the time between them. All processes of a machine have the same clock, so readings of a worker and of
--- the program can be compared.
---@return number seconds
local function clock() return core_clock() end

return clock
