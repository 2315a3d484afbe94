--- With --on-error skip: keeps which tasks failed, and why.
local command = require "lkrun.command"
local format = require "lkrun.rows.format"
local writer = require "lkrun.rows.writer"

local failures = {}

local COLUMNS <const> = { "task", "line", "reason", "error", "record" }

---@class lkrun.Failures
---@field count integer
---@field numbers table<integer, boolean> the numbers of the failed tasks, as keys
local Failures = {}
Failures.__index = Failures

-- In place of Failures where --on-error is not skip: keeps nothing.
local None = { count = 0, numbers = {} }
None.__index = None
None.__close = function() end
function None.watch(_, each) return each end
function None.add() end
function None.forget() end
function None.commit() return 0 end

--- Opens the file that --failed names, if it is given.
---@param options table of the command line
---@param run_tasks lkrun.Tasks
---@return lkrun.Failures
function failures.open(options, run_tasks)
  if options.on_error ~= "skip" then return setmetatable({}, None) end
  local self = setmetatable({
    count = 0, done = 0, tasks = run_tasks, path = options.failed, pending = {}, lines = {}, numbers = {},
  }, Failures)
  if self.path then
    local kind = format.of(self.path, "jsonl")
    if kind == "npy" or kind == "lines" then
      command.fail(2, "map: --failed: %s is %s; expected csv, tsv or jsonl", self.path, kind)
    end
    self.encode = writer.encoder(kind, COLUMNS)
    self.file = command.attempt("map", 2, writer.open, self.path, kind, COLUMNS)
  end
  return self
end

Failures.__close = function(self)
  if self.file then self.file:close() end
end

--- Passes the tasks through, and keeps the record of each until `forget`.
function Failures:watch(each)
  local source, pending, lines = self.tasks.source, self.pending, self.lines
  return function()
    local number, record = each()
    if number then pending[number], lines[number] = record, source:line() end
    return number, record
  end
end

function Failures:forget(number)
  self.pending[number], self.lines[number] = nil, nil
  self.done = self.done + 1
end

-- A record as text for a cell. Bytes that are not UTF-8 are taken for Latin-1.
local function shown(record)
  if type(record) == "userdata" then record = require("lkrun.json").encode(record:totable()) end
  record = tostring(record)
  if utf8.len(record) then return record end
  return (record:gsub("[\x80-\xff]", function(byte) return utf8.char(byte:byte()) end))
end

--- Takes down a task that failed.
---@param number integer
---@param err lkrun.TaskError
function Failures:add(number, err)
  self.count = self.count + 1
  self.numbers[number] = true
  local message = shown(err.message)
  if not self.file then
    require("lkrun.log").get("lkrun"):error("map: task %d (%s): %s", number,
      self.tasks.source.name .. ":" .. self.lines[number], message)
    return
  end
  command.check("map", self.file:add(self.encode {
    task = number, line = self.lines[number], reason = err.reason, error = message,
    record = shown(self.pending[number]),
  }))
end

--- To be called when all tasks have ended: puts the file in its place, and returns the exit status.
---@return integer
function Failures:commit()
  if self.file then command.check("map", self.file:commit()) end
  if self.count == 0 then return 0 end
  command.fail(1, "map: %d of %d tasks failed%s", self.count, self.done,
    self.path and "; they are in " .. self.path or "")
end

return failures
