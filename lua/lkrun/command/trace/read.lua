--- Reads a timeline that LK_TRACE made, one event a line, and collects what the summary needs.
local decode = require("lkrun.json").decode

local read = {}

---@class lkrun.TracedTask
---@field index integer
---@field submitted boolean whether it was submitted by itself, not as a task of a map
---@field row integer of the worker; 0: in place
---@field begun number seconds
---@field length number seconds
---@field trouble? string "error" or "crash"

---@class lkrun.TracedRow
---@field spans number[] of each task in turn: when it began, and how long it took, in seconds
---@field tasks integer
---@field busy number seconds in tasks
---@field first number when its first task began, infinite without one
---@field last number when its last task ended

---@class lkrun.TracedInvoker
---@field number integer
---@field name string where it was made
---@field jobs integer
---@field rows table<integer, lkrun.TracedRow>
---@field windows number[] of each map in turn: when it began, and when it ended
---@field lengths number[] how long each task took, in seconds
---@field longest lkrun.TracedTask[]
---@field failed integer
---@field waits table<integer, number> seconds that the host waited for a task, by index
---@field host table<string, number> seconds: wait, dispatch, caller
---@field crashes { row: integer, time: number, how: string, index: integer }[]
---@field retries integer
---@field lost integer how many tasks the timeline leaves out

local function new_invoker(number)
  return {
    number = number, name = "", jobs = 1, rows = {}, windows = {}, lengths = {}, longest = {}, failed = 0, waits = {},
    host = { wait = 0, dispatch = 0, caller = 0 }, crashes = {}, retries = 0, lost = 0,
  }
end

local function row_of(invoker, number)
  local row = invoker.rows[number]
  if not row then
    row = { spans = {}, tasks = 0, busy = 0, first = math.huge, last = 0 }
    invoker.rows[number] = row
  end
  return row
end

-- Inserts a task into the list of the `wanted` longest ones, the longest first.
local function rank(longest, task, wanted)
  if #longest == wanted and task.length <= longest[wanted].length then return end
  local at = #longest + 1
  while at > 1 and longest[at - 1].length < task.length do at = at - 1 end
  table.insert(longest, at, task)
  longest[wanted + 1] = nil
end

local function add_task(invoker, event, wanted)
  local row = row_of(invoker, event.tid)
  local begun, length = event.ts * 1e-6, event.dur * 1e-6
  local trouble = event.args.crash and "crash" or event.args.error and "error" or nil
  local spans = row.spans
  spans[#spans + 1] = begun
  spans[#spans + 1] = length
  row.tasks, row.busy = row.tasks + 1, row.busy + length
  row.first, row.last = math.min(row.first, begun), math.max(row.last, begun + length)
  invoker.lengths[#invoker.lengths + 1] = length
  if trouble then invoker.failed = invoker.failed + 1 end
  rank(invoker.longest, {
    index = event.args.index, submitted = event.args.map == 0, row = event.tid, begun = begun, length = length,
    trouble = trouble,
  }, wanted)
end

local function add_host(invoker, event)
  local begun, length = event.ts * 1e-6, event.dur * 1e-6
  if event.cat == "map" then
    table.insert(invoker.windows, begun)
    table.insert(invoker.windows, begun + length)
    return
  end
  invoker.host[event.cat] = (invoker.host[event.cat] or 0) + length
  local index = event.cat == "wait" and event.args and event.args.index
  if index then invoker.waits[index] = (invoker.waits[index] or 0) + length end
end

local function add(invoker, event, wanted)
  if event.ph == "X" then
    if event.cat == "task" then
      add_task(invoker, event, wanted)
    elseif event.tid == 0 then
      add_host(invoker, event)
    end
  elseif event.ph == "M" and event.name == "process_name" then
    invoker.name, invoker.jobs = event.args.name:gsub("^invoker %d+ ?", ""), event.args.jobs
  elseif event.cat == "crash" then
    table.insert(invoker.crashes, {
      row = event.tid, time = event.ts * 1e-6, how = event.args.how, index = event.args.index,
    })
  elseif event.cat == "retry" then
    invoker.retries = invoker.retries + 1
  elseif event.cat == "lost" then
    invoker.lost = invoker.lost + event.args.count
  end
end

--- The invokers of a timeline, in order. Raises, naming the line, where the file is no timeline.
---@param lines fun(): string? the lines of the file
---@param longest integer how many of the longest tasks are kept
---@return lkrun.TracedInvoker[]
function read.invokers(lines, longest)
  local list, number = {}, 0
  for line in lines do
    number = number + 1
    local text = line:gsub(",?%s*$", "")
    if text ~= "" and text ~= "[" and text ~= "]" then
      local good, event = pcall(decode, text)
      if not good or type(event) ~= "table" or math.type(event.pid) ~= "integer" or not event.ph then
        error(("line %d is not an event; expected a timeline that LK_TRACE made"):format(number), 0)
      end
      list[event.pid] = list[event.pid] or new_invoker(event.pid)
      add(list[event.pid], event, longest)
    end
  end
  if number == 0 then error("it is empty; expected a timeline that LK_TRACE made", 0) end
  local invokers = {}
  for _, invoker in pairs(list) do invokers[#invokers + 1] = invoker end
  table.sort(invokers, function(a, b) return a.number < b.number end)
  return invokers
end

return read
