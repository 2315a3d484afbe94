-- What other pools need for the same work, beside lkrun: lkrun bench/peers/run.lua PYTHON.
-- Prints a table of medians of PEER_RUNS (5) runs; with PICTURE=FILE.svg draws it, too.
package.path = "bench/?.lua;bench/peers/?.lua;" .. package.path
local measure = require "measure"

local python, lkrun = assert(arg[1], "which Python?"), arg[-1]
local runs = measure.option("PEER_RUNS", 5)
local peers = { "multiprocessing", "futures", "joblib", "loky", "ray" }
local SECONDS <const> = 120 -- a run may take

-- Tasks a run: what each gets through in a second or so.
local null_tasks = { futures = 5000, multiprocessing = 20000, joblib = 20000, loky = 5000, ray = 2000 }

-- A column: its title, the case of pools.py and the field there, lkrun's figure, and a scale.
local columns = {
  { title = "first result, ms", case = "first", field = "first", figure = "first.ms", scale = 1e3 },
  { title = "null task, µs", case = "null", field = "null", figure = "null.us", scale = 1e6 },
  { title = "matvec, speed-up", case = "matvec", field = "speedup", figure = "matvec.speedup", more_is_better = true },
  { title = "1 GiB model: first, ms", case = "big", field = "first", figure = "big.first.ms", scale = 1e3 },
  { title = "memory over it, MiB", case = "big", field = "over_mib", figure = "big.memory.mib" },
  { title = "delivered of 1,000 after a crash", case = "crash", field = "delivered", figure = "crash.delivered",
    more_is_better = true },
  { title = "end or error after, ms", case = "crash", field = "seconds", figure = "crash.ms", scale = 1e3 },
}

local function quoted(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

-- The fields of one run; none if it failed or took too long. Output goes to a file: what a pool leaves
-- behind would keep a pipe open.
local function run_peer(peer, case)
  local count = ({ null = null_tasks[peer], matvec = 2000, crash = 1000 })[case] or 1
  local output = os.tmpname()
  local command = ("timeout -k 5 %d %s bench/peers/pools.py %s %s %d >%s 2>/dev/null </dev/null"):format(SECONDS,
    quoted(python), peer, case, count, output)
  local ok, how, status = os.execute(command)
  local fields = {}
  for line in io.lines(output) do
    if line:find "^[%w_]+=" then
      for name, value in line:gmatch "([%w_]+)=(%S+)" do fields[name] = tonumber(value) or value end
    end
  end
  os.remove(output)
  if not ok and not next(fields) then
    io.stderr:write(("bench-peers: %s %s: %s %d\n"):format(peer, case, how, status))
  end
  return fields
end

local function lkrun_figures()
  local figures = {}
  local pipe <close> = io.popen(("%s bench/run.lua first null matvec big crash </dev/null"):format(quoted(lkrun)))
  for line in pipe:lines() do
    local name, value = line:match "^(%S-)=(%S+)"
    if name then figures[name] = tonumber(value) end
  end
  return figures
end

-- rows[peer][column] = { median, low, high }
local rows = {}
local saw = {}
for _, peer in ipairs(peers) do
  local samples = {}
  for _, case in ipairs { "first", "null", "matvec", "big", "crash" } do
    for _ = 1, runs do
      local fields = run_peer(peer, case)
      for _, column in ipairs(columns) do
        local value = column.case == case and fields[column.field]
        if value then
          samples[column] = samples[column] or {}
          table.insert(samples[column], value * (column.scale or 1))
        end
      end
      saw[peer] = fields.saw or saw[peer]
    end
  end
  rows[peer] = {}
  for column, values in pairs(samples) do
    local quantile = measure.quantile
    rows[peer][column] = { quantile(values, 0.5), quantile(values, 0.25), quantile(values, 0.75) }
  end
end
local figures = lkrun_figures()
rows.lkrun = {}
for _, column in ipairs(columns) do
  rows.lkrun[column] = figures[column.figure] and { figures[column.figure] }
end

local function show(value)
  if not value then return "–" end
  local digits = math.abs(value) >= 100 and "%.0f" or math.abs(value) >= 10 and "%.1f" or "%.2f"
  return (digits:format(value))
end

local names = { "lkrun", table.unpack(peers) }
io.write "| |"
for _, column in ipairs(columns) do io.write(" ", column.title, " |") end
io.write("\n|---|", ("---|"):rep(#columns), "\n")
for _, name in ipairs(names) do
  io.write("| ", name, " |")
  for _, column in ipairs(columns) do
    local cell = rows[name][column]
    io.write(" ", show(cell and cell[1]))
    if cell and cell[2] and runs > 1 then io.write((" (%s to %s)"):format(show(cell[2]), show(cell[3]))) end
    io.write " |"
  end
  io.write "\n"
end
io.write(("\nMedians of %d runs of each (lkrun: see make bench), quartiles in brackets. "):format(runs))
io.write "After a crash the caller saw: "
local seen = {}
for _, peer in ipairs(peers) do seen[#seen + 1] = ("%s %s"):format(peer, saw[peer] or "nothing") end
print(table.concat(seen, ", ") .. ".")

local picture = os.getenv "PICTURE"
if picture and picture ~= "" then
  local file <close> = assert(io.open(picture, "w"))
  file:write(require("picture")(names, rows, { columns[1], columns[2], columns[4] }))
end
