--- The summary of a timeline for people: how busy the workers were, what took longest, what the host waited
--- for, and a chart.
local summary = {}

local BARS <const> = { [false] = { " ", ".", ":", "-", "=", "+", "*", "%", "#" },
  [true] = { " ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" } }

-- --- numbers as text ---

local function time_text(seconds)
  local size = math.abs(seconds)
  if size == 0 then return "0 s" end
  if size < 1e-3 then return ("%.3g µs"):format(seconds * 1e6) end
  if size < 1 then return ("%.3g ms"):format(seconds * 1e3) end
  if size < 60 then return ("%.3g s"):format(seconds) end
  return ("%d:%02d min"):format(seconds // 60, math.floor(seconds % 60))
end

local function percent(part, whole)
  if whole <= 0 then return "0 %" end
  local value = 100 * part / whole
  return (value > 0 and value < 9.95 and "%.1f %%" or "%.0f %%"):format(value)
end

local function count_text(count, one, many)
  return ("%d %s"):format(count, count == 1 and one or many)
end

-- --- the time that counts ---

-- The stretches of time in which maps ran; without a map the one from the first task to the last.
local function windows_of(invoker)
  if #invoker.windows > 0 then return invoker.windows end
  local first, last = math.huge, 0
  for _, row in pairs(invoker.rows) do
    first, last = math.min(first, row.first), math.max(last, row.last)
  end
  return first < last and { first, last } or { 0, 0 }
end

local function length_of(windows)
  local sum = 0
  for i = 1, #windows, 2 do sum = sum + windows[i + 1] - windows[i] end
  return sum
end

-- How much of a stretch of time lies between these limits.
local function overlap(begun, length, from, to)
  return math.max(0, math.min(begun + length, to) - math.max(begun, from))
end

-- Divides [from, to] into equal parts: the share of each part in which the worker of this row was busy.
local function shares(row, from, to, parts)
  local list, part = {}, (to - from) / parts
  for i = 1, parts do list[i] = 0 end
  if part <= 0 then return list end
  for at = 1, #row.spans, 2 do
    local begun, length = row.spans[at], row.spans[at + 1]
    local first = math.max(1, math.floor((begun - from) / part) + 1)
    local last = math.min(parts, math.floor((begun + length - from) / part) + 1)
    for i = first, last do
      list[i] = list[i] + overlap(begun, length, from + (i - 1) * part, from + i * part) / part
    end
  end
  return list
end

local function chart(row, from, to, width, bars)
  local cells = {}
  for i, share in ipairs(shares(row, from, to, width)) do
    local level = share <= 0 and 1 or math.min(#bars, 2 + math.floor(share * (#bars - 1.001)))
    cells[i] = bars[level]
  end
  return table.concat(cells)
end

local function quantile(sorted, part)
  return sorted[math.max(1, math.ceil(part * #sorted))] or 0
end

-- --- the parts ---

local function task_name(task)
  return (task.submitted and "submitted %d" or "task %d"):format(task.index)
end

local function describe_tasks(add, invoker)
  local notes = {}
  if invoker.failed > 0 then notes[#notes + 1] = ("%d failed"):format(invoker.failed) end
  if #invoker.crashes > 0 then notes[#notes + 1] = count_text(#invoker.crashes, "crash", "crashes") end
  if invoker.retries > 0 then notes[#notes + 1] = ("%d tried again"):format(invoker.retries) end
  if invoker.lost > 0 then notes[#notes + 1] = ("%d more left out of the timeline"):format(invoker.lost) end
  local sorted = table.move(invoker.lengths, 1, #invoker.lengths, 1, {})
  table.sort(sorted)
  add("  %s%s: median %s, 90 %% within %s, longest %s", count_text(#sorted, "task", "tasks"),
    #notes > 0 and " (" .. table.concat(notes, ", ") .. ")" or "", time_text(quantile(sorted, 0.5)),
    time_text(quantile(sorted, 0.9)), time_text(sorted[#sorted] or 0))
end

local function workers_of(invoker)
  local numbers = {}
  local in_place = invoker.rows[0] ~= nil
  for number = in_place and 0 or 1, in_place and 0 or invoker.jobs do numbers[#numbers + 1] = number end
  return numbers
end

local no_tasks = { spans = {}, tasks = 0, busy = 0, first = math.huge, last = 0 }

local function describe_workers(add, invoker, windows, options)
  local whole = length_of(windows)
  local from, to = windows[1], windows[#windows]
  local busy, busiest, numbers = 0, 0, workers_of(invoker)
  for _, number in ipairs(numbers) do
    local row = invoker.rows[number] or no_tasks
    busy, busiest = busy + row.busy, math.max(busiest, row.busy)
  end
  local mean = busy / #numbers
  add("  utilization %s: %s of work in %s on %s", percent(busy, whole * #numbers), time_text(busy), time_text(whole),
    count_text(#numbers, "worker", "workers"))
  if #numbers > 1 and mean > 0 then
    add("  imbalance %s: the busiest worker over the mean", percent(busiest - mean, mean))
  end
  add ""
  local width = math.max(10, math.min(60, options.columns - 40))
  for _, number in ipairs(numbers) do
    local row = invoker.rows[number] or no_tasks
    add("  %-10s %s %5s  %s", number == 0 and "in place" or "worker " .. number,
      chart(row, from, to, width, BARS[options.utf8]), percent(row.busy, whole), count_text(row.tasks, "task", "tasks"))
  end
  local left, right = time_text(from), time_text(to)
  add("  %-10s %s%s%s", "", left, (" "):rep(math.max(1, width - utf8.len(left) - utf8.len(right))), right)
  return busy / math.max(whole * #numbers, 1e-9), whole
end

local function describe_longest(add, invoker)
  if #invoker.longest == 0 then return end
  add ""
  add "  the longest tasks"
  for _, task in ipairs(invoker.longest) do
    add("    %-16s %-9s %-9s at %s%s", task_name(task), time_text(task.length),
      task.row == 0 and "in place" or "worker " .. task.row, time_text(task.begun),
      task.trouble and "  (" .. task.trouble .. ")" or "")
  end
end

local function describe_crashes(add, invoker)
  for i, crash in ipairs(invoker.crashes) do
    if i == 1 then
      add ""
      add "  workers that died"
    end
    add("    worker %d at %s in task %d: %s", crash.row, time_text(crash.time), crash.index, crash.how)
  end
end

local function describe_host(add, invoker, whole, wanted)
  local host = invoker.host
  add ""
  add("  the host waited %s (%s of the time), dispatched %s, was in the caller's code %s", time_text(host.wait),
    percent(host.wait, whole), time_text(host.dispatch), time_text(host.caller))
  local waits = {}
  for index, seconds in pairs(invoker.waits) do waits[#waits + 1] = { index, seconds } end
  table.sort(waits, function(a, b) return a[2] > b[2] or a[2] == b[2] and a[1] < b[1] end)
  for i = 1, math.min(wanted, #waits) do
    add("    for task %-8d %s", waits[i][1], time_text(waits[i][2]))
  end
end

-- How long, at the end, one worker still worked while another had nothing left to do.
local function tail_of(invoker, numbers)
  local first, last = math.huge, 0
  for _, number in ipairs(numbers) do
    local row = invoker.rows[number]
    first, last = math.min(first, row and row.last or 0), math.max(last, row and row.last or 0)
  end
  return last - first
end

-- One sentence on what to change; nil where nothing stands out.
local function advise(invoker, utilization, whole)
  local numbers = workers_of(invoker)
  if #numbers < 2 then return nil end
  if utilization >= 0.95 then return "the workers were busy nearly all the time" end
  if invoker.host.caller > 0.3 * whole then
    return "the caller's code kept the host away: do less between two results, or in the workers"
  end
  if invoker.host.dispatch > 0.3 * whole then
    return "dispatching took long: the tasks' generator is slow, or the tasks are large"
  end
  if tail_of(invoker, numbers) > 0.1 * whole then
    return "some workers had nothing left at the end: hand out the longest tasks first, or make them smaller"
  end
  return nil
end

---@class lkrun.TraceSummaryOptions
---@field columns integer characters of a line
---@field utf8 boolean
---@field longest integer how many tasks are listed

--- The summary of an invoker's timeline, as lines.
---@param invoker lkrun.TracedInvoker
---@param options lkrun.TraceSummaryOptions
---@return string
function summary.of(invoker, options)
  local lines = {}
  local function add(format, ...) lines[#lines + 1] = format:format(...):gsub(" +$", "") end
  add("invoker %d  %s", invoker.number, invoker.name)
  if #invoker.lengths == 0 then
    add "  it ran no task"
    return table.concat(lines, "\n")
  end
  describe_tasks(add, invoker)
  local utilization, whole = describe_workers(add, invoker, windows_of(invoker), options)
  describe_longest(add, invoker)
  describe_crashes(add, invoker)
  if invoker.rows[0] == nil then describe_host(add, invoker, whole, options.longest) end
  local advice = advise(invoker, utilization, whole)
  if advice then
    add ""
    add("  %s", advice)
  end
  local text = table.concat(lines, "\n")
  return options.utf8 and text or (text:gsub("µ", "u"))
end

return summary
