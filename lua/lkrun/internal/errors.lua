--- What a failed task raises, or yields with on_error = "return".
---@class lkrun.TaskError
---@field message string what went wrong: what func raised, or what the pool saw; where func raised a table,
---  its `message` or its fields
---@field where string? "script.lua:12": the line that raised a value without a position of its own, or that
---  called the function of lkrun that raised it
---@field traceback string? of the worker, where the error was raised
---@field value any what func raised, where it is no string and can be sent
---@field task integer index of the task, from 1
---@field worker integer the worker that ran it, from 1; 0: the program itself
---@field reason "error"|"signal"|"exit"|"timeout"|"memory"
---@field signal integer? number of the signal that ended the worker
---@field status integer? exit status of the worker
---@field delivered integer how many results were delivered before this error
local TaskError = {}
TaskError.__name = "lkrun.TaskError"
TaskError.__index = TaskError

-- One line: of a message of several lines the first; `message` has them all.
function TaskError:__tostring()
  local first = self.message:match("^[^\n]*")
  if self.reason ~= "error" then
    local others = self.delivered == 1 and "1 other result" or self.delivered .. " other results"
    return ("lkrun: %s; %s delivered"):format(first, others)
  end
  if first:find("^task%[") then return "lkrun: " .. first end
  local place = self.worker > 0 and (" (worker %d)"):format(self.worker) or ""
  if self.where then first = ("%s: %s"):format(self.where, first:gsub("^lkrun: ", "")) end
  return ("lkrun: task %d%s: %s"):format(self.task, place, first)
end

--- So that a message can be built with it: `"failed: " .. err`.
function TaskError.__concat(a, b) return tostring(a) .. tostring(b) end

--- Makes the error object of the fields that the worker sent.
---@param fields table message and the other fields as sent
---@param task integer
---@param worker integer
---@param delivered integer
---@return lkrun.TaskError
local function new(fields, task, worker, delivered)
  fields.task = task
  fields.worker = worker
  fields.delivered = delivered
  fields.reason = fields.reason or "error"
  return setmetatable(fields, TaskError)
end

return { new = new, class = TaskError }
