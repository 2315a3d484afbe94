-- rows: files of rows, and lkrun map over them: microseconds for each row, which has a user, an item and a score, as
-- in recommenders. ROWS=10000000 takes longer. map.memory is the most memory that the program itself held: it must
-- not grow with the file.
local measure = require "measure"
local lk = require "lkrun"

local rows = measure.option("ROWS", 1000000)
local folder = io.popen("mktemp -d"):read "l"
local _ <close> = setmetatable({}, { __close = function() os.execute("rm -rf " .. folder) end })
local tasks, output = folder .. "/tasks.csv", folder .. "/out.csv"
local lkrun = arg[-1]

local function report(name, samples) measure.report(name, samples) end

local function timed(func)
  local start = lk.clock()
  func()
  return (lk.clock() - start) / rows * 1e6
end

local function write()
  local i = 0
  lk.rows.write(tasks, function()
    i = i + 1
    return i <= rows and { i, i * 7 % 1000003, i % 100 / 8 } or nil
  end, { columns = { "user", "item", "score" } })
end

local options = { types = { user = "i64", item = "i64", score = "f64" } }
local function read()
  local count = 0
  for _ in lk.rows.read(tasks, options) do count = count + 1 end
  assert(count == rows)
end

local function file(name, text)
  local handle <close> = assert(io.open(folder .. "/" .. name, "w"))
  handle:write(text)
end

-- Returns the seconds and the peak memory of one lkrun map.
local function map(more)
  local start = lk.clock()
  local command = ("cd %s && echo $$ && LK_PROGRESS=none exec '%s' map op.lua --tasks tasks.csv --output out.csv "
    .. "--types user:i64,item:i64,score:f64 --jobs 2 %s"):format(folder, lkrun, more)
  local pipe = io.popen(command)
  local pid, most = pipe:read "n", 0
  while true do
    local status <close> = io.open(("/proc/%d/status"):format(pid))
    local size = status and tonumber((status:read "a" or ""):match "VmHWM:%s*(%d+)")
    if not size then break end
    most = math.max(most, size)
    os.execute "sleep 0.02"
  end
  assert(pipe:close())
  return (lk.clock() - start) / rows * 1e6, most / 1024
end

write()
file("op.lua", [[return { columns = { "user", "score" }, run = function(_, task)
  return { user = task.user, score = task.score * 2 }
end }]])
lkrun = io.popen(("realpath '%s'"):format(lkrun)):read "l"

local functions = {}
if measure.is_wanted "rows.write" then functions["rows.write_us"] = function() return timed(write) end end
if measure.is_wanted "rows.read" then functions["rows.read_us"] = function() return timed(read) end end
local memory = {}
if measure.is_wanted "rows.map" then
  for name, more in pairs { ["rows.map_us"] = "", ["rows.map_resume_us"] = "--resume --seed 1" } do
    functions[name] = function()
      local time, most = map(more)
      local key = name:gsub("_us$", ".memory_mib")
      memory[key] = memory[key] or {}
      table.insert(memory[key], most)
      os.remove(output)
      return time
    end
  end
end
local samples = measure.rounds(measure.option("ROUNDS", 5), functions)
for _, results in ipairs { samples, memory } do
  local names = {}
  for name in pairs(results) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do report(name, results[name]) end
end
