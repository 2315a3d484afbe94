local core = require "lkrun.core.progress"

--- Displays of work in three states, on a terminal, in a log, or for programs.
---@class lkrun.progress
local progress = {}

---@alias lkrun.TaskState "dispatched" | "in-progress" | "finished"

--- A display. Its fields may be read; its methods change it. It ends with the scope of a `<close>` variable.
---@class lkrun.Progress
---@field total integer? tasks; nil: not known
---@field label string?
---@field logger string?
---@field unit string
---@field dispatched integer how many tasks are in that state
---@field in_progress integer how many tasks are in that state
---@field finished integer how many tasks are in that state
---@field ended boolean
--- Counts n more tasks (1 by default) in `state` ("finished" by default), and n less in `from_state`, if given.
--- Raises when n is no whole number, a state is unknown or its count would be negative, and when the display
--- has ended or belongs to the parent process.
---@field update fun(self: lkrun.Progress, n: integer?, state: lkrun.TaskState?, from_state: lkrun.TaskState?)
--- Draws it for the last time; further calls do nothing.
---@field finish fun(self: lkrun.Progress)

---@class lkrun.ProgressOptions
---@field logger lkrun.Logger|string|nil the logger, or its name, that writes the display's lines in a log
---@field label string? what the work is
---@field total integer? tasks; nil: not known
---@field unit string? what a task is, in the plural; "tasks" by default, "bytes" counts in KiB, MiB, ...

local any = { any = true } -- the core checks the values, which may come by position too
local rules = { logger = any, label = any, total = any, unit = any }

--- Makes a display and shows it, as LK_PROGRESS says. Takes one table of options, or the same four
--- by position. Raises for an unknown option, a wrong type, a negative total, a bad LK_PROGRESS.
---@param logger lkrun.ProgressOptions|lkrun.Logger|string|nil
---@param label string?
---@param total integer?
---@param unit string?
---@return lkrun.Progress
function progress.invoke_progress(logger, label, total, unit)
  if type(logger) ~= "table" then return core.open(logger, label, total, unit) end
  local options = require("lkrun.internal.options").check("lk.invoke_progress", rules, logger)
  return core.open(options.logger, options.label, options.total, options.unit)
end

return progress
