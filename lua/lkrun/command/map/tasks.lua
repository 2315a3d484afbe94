--- The tasks of lkrun map: those records of the file that this run, or its shard, has to do.
local command = require "lkrun.command"
local source = require "lkrun.rows.source"

local tasks = {}

---@class lkrun.Tasks
---@field source lkrun.rows.Source where they are read from; its next record is the first task
---@field first integer number of the first task in the file, from 1
---@field last integer? number of the last task; nil for a stream, whose end nobody knows
---@field count integer? how many tasks there are; nil for a stream
---@field total integer? how many records the whole file has; nil for a stream
local Tasks = {}
Tasks.__index = Tasks
Tasks.__close = function(self) self.source:close() end

local function usable(...) return command.attempt("map", 2, ...) end

-- Counts all records, which also checks the whole file before any work is begun.
local function count(path, options)
  local whole <close> = source.open(path, options)
  return whole.count or whole:skip()
end

--- Opens the tasks. Ends the command where they can't be used.
---@param options table of the command line
---@return lkrun.Tasks
function tasks.open(options)
  local how = { format = options.tasks_format, types = options.types }
  local opened = usable(source.open, options.tasks, how)
  local self = setmetatable({ source = opened, options = options, how = how, first = 1 }, Tasks)
  if not opened:again() then
    if options.shard then
      command.fail(2, "map: --shard: %s can't be counted beforehand; expected a file", opened.name)
    end
    return self
  end
  self.total = usable(count, options.tasks, how)
  self.last = self.total
  if options.shard then
    local i, n = options.shard[1], options.shard[2]
    -- i * total may not fit into 64 bits; the products with the quotient and the remainder do.
    local share, rest = self.total // n, self.total % n
    self.first = (i - 1) * share + (i - 1) * rest // n + 1
    self.last = i * share + i * rest // n
    opened:skip(self.first - 1)
  end
  self.count = self.last - self.first + 1
  return self
end

--- For a generic `for`: the number and the record of each task.
function Tasks:each() return self.source:each(self.first - 1, self.last) end

--- Where the record of this number stands: "tasks.csv:18"; nil for a stream.
---@param number integer
---@return string?
function Tasks:place(number)
  if self.source.format == "npy" then return ("%s, row %d"):format(self.source.name, number) end
  if not self.total then return nil end
  local again <close> = source.open(self.options.tasks, self.how)
  again:skip(number)
  return ("%s:%d"):format(self.source.name, again:line())
end

return tasks
