--- The tasks of lkrun map: which records of the file are this run's.
local command = require "lkrun.command"
local source = require "lkrun.rows.source"

local tasks = {}

---@class lkrun.Tasks
---@field source lkrun.rows.Source stands before the first of them
---@field first integer? number of the first, from 1
---@field last integer? of the last; nil: not known before they are read
---@field count integer? nil: not known
---@field total integer? of the file's records
local Tasks = {}
Tasks.__index = Tasks
Tasks.__close = function(self) self.source:close() end

local function usable(...) return command.attempt("map", 2, ...) end

-- All records, counted, and thereby checked from end to end before any work is begun.
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
    -- i * total may not fit 64 bits; quotient and remainder do.
    local share, rest = self.total // n, self.total % n
    self.first = (i - 1) * share + (i - 1) * rest // n + 1
    self.last = i * share + i * rest // n
    opened:skip(self.first - 1)
  end
  self.count = self.last - self.first + 1
  return self
end

--- For a generic `for`: number and record of each.
function Tasks:each() return self.source:each(self.first - 1, self.last) end

--- "tasks.csv:18" for the record of this number, where it can be found out.
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
