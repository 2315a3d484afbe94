local core = require "lkrun.core.progress"

--- Displays of work in three states, on a terminal, in a log, or for programs.
---@class lkrun.progress
local progress = {}

---@alias lkrun.TaskState "dispatched" | "in-progress" | "finished"

--- A display. It may be read, and moved by its methods; at the end of its scope it ends.
---@class lkrun.Progress
---@field total integer? tasks; nil: not known
---@field label string?
---@field logger string?
---@field unit string
---@field dispatched integer tasks in that state now
---@field in_progress integer tasks in that state now
---@field finished integer tasks in that state now
---@field ended boolean
--- n more tasks (1 by default) in `state` ("finished" by default), taken from `from_state` where one
--- is named. Raises when n is no whole number, a state is unknown or would hold less than no task,
--- or the display has ended or belongs to the parent process.
---@field update fun(self: lkrun.Progress, n: integer?, state: lkrun.TaskState?, from_state: lkrun.TaskState?)
--- The last drawing; more calls do nothing.
---@field finish fun(self: lkrun.Progress)

---@class lkrun.ProgressOptions
---@field logger lkrun.Logger|string|nil whose lines they are in a log
---@field label string? what the work is
---@field total integer? tasks; nil: not known
---@field unit string? what a task is, in the plural; "tasks" by default, "bytes" counts in KiB, MiB, ...

local options = { logger = true, label = true, total = true, unit = true }

--- Makes a display and shows it, as LK_PROGRESS says. Takes one table of options, or the same four
--- by position. Raises for an unknown option, a wrong type, a negative total, a bad LK_PROGRESS.
---@param logger lkrun.ProgressOptions|lkrun.Logger|string|nil
---@param label string?
---@param total integer?
---@param unit string?
---@return lkrun.Progress
function progress.invoke_progress(logger, label, total, unit)
  if type(logger) ~= "table" then return core.open(logger, label, total, unit) end
  for name in pairs(logger) do
    if not options[name] then
      error("lkrun: lk.invoke_progress: " .. require("lkrun.internal.options").unknown(name, options), 0)
    end
  end
  return core.open(logger.logger, logger.label, logger.total, logger.unit)
end

return progress
