-- Measures other programs with the same work as lkrun: lkrun bench/peers/run.lua PYTHON LENSKIT_PYTHON [FIGURE...].
-- Prints tables of medians of PEER_RUNS (5) runs; also writes them to TABLE=FILE.md, and a picture to PICTURE=FILE.svg.
--
-- A figure is a file in bench/peers/figures, which returns a table:
--   group    the title of its table
--   order    the position of its columns in the table
--   peers    the names of the other programs
--   command  function(python, peer): a shell command that prints key=value
--   lenskit  the peer, if any, that runs in the Python that has LensKit
--   columns  each has a title, the key of the peers' value (field) and a factor for it (scale), for lkrun
--            a figure of bench/run.lua or a text, whether it is drawn, and whether more is better
package.path = "bench/?.lua;bench/peers/?.lua;" .. package.path
local measure = require "measure"

local python, lenskit, lkrun = assert(arg[1], "which Python?"), assert(arg[2], "which Python has LensKit?"), arg[-1]
local runs = measure.option("PEER_RUNS", 5)
local SECONDS <const> = 120 -- time limit of a run

local function quoted(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

-- Returns the figures that are named on the command line, or all if none is named.
local function load_figures()
  local wanted, figures = {}, {}
  for i = 3, #arg do wanted[arg[i]] = true end
  local pipe <close> = io.popen "ls bench/peers/figures/*.lua"
  for file in pipe:lines() do
    local figure = dofile(file)
    figure.name = file:match "([^/]+)%.lua$"
    if #arg < 3 or wanted[figure.name] then figures[#figures + 1] = figure end
    wanted[figure.name] = nil
  end
  local unknown = next(wanted)
  if unknown then
    io.stderr:write(("bench-peers: there is no figure '%s' in bench/peers/figures\n"):format(unknown))
    os.exit(2)
  end
  table.sort(figures, function(a, b) return a.order < b.order end)
  return figures
end

-- Returns the fields of one run; none if it failed or took too long. The output goes to a file, because processes
-- that a pool leaves behind would keep a pipe open.
local function run_once(figure, peer)
  local output = os.tmpname()
  local ok, how, status = os.execute(("timeout -k 5 %d %s >%s 2>/dev/null </dev/null"):format(SECONDS,
    figure.command(quoted(peer == figure.lenskit and lenskit or python), peer), output))
  local fields = {}
  for line in io.lines(output) do
    if line:find "^[%w_]+=" then
      for name, value in line:gmatch "([%w_]+)=(%S+)" do fields[name] = tonumber(value) or value end
    end
  end
  os.remove(output)
  if not ok and not next(fields) then
    io.stderr:write(("bench-peers: %s %s: %s %d\n"):format(peer, figure.name, how, status))
  end
  return fields
end

-- Returns { median, low, high } of numbers, or { text } for values that are not numbers.
local function summary(values)
  if type(values[1]) ~= "number" then return { values[#values] } end
  local quantile = measure.quantile
  return { quantile(values, 0.5), quantile(values, 0.25), quantile(values, 0.75) }
end

local function measure_peer(figure, peer, row)
  local samples = {}
  for _ = 1, runs do
    local fields = run_once(figure, peer)
    for _, column in ipairs(figure.columns) do
      local value = fields[column.field]
      if value then
        samples[column] = samples[column] or {}
        table.insert(samples[column], type(value) == "number" and value * (column.scale or 1) or value)
      end
    end
  end
  for column, values in pairs(samples) do row[column] = summary(values) end
end

-- Returns lkrun's own figures, from the benchmark: name → { median, low, high }.
local function measure_lkrun(columns)
  local families, seen, found = {}, {}, {}
  for _, column in ipairs(columns) do
    local family = column.figure and column.figure:match "^[^.]+"
    if family and not seen[family] then
      families[#families + 1], seen[family] = family, true
    end
  end
  local pipe <close> =
    io.popen(("%s bench/run.lua %s </dev/null"):format(quoted(lkrun), table.concat(families, " ")))
  for line in pipe:lines() do
    local name, value, low, high = line:match "^(%S-)=(%S+) low=(%S+) high=(%S+)"
    if name then found[name] = { tonumber(value), tonumber(low), tonumber(high) } end
  end
  local row = {}
  for _, column in ipairs(columns) do row[column] = found[column.figure] or column.said and { column.said } end
  return row
end

local function show(value)
  if type(value) ~= "number" then return tostring(value) end
  local digits = math.abs(value) >= 100 and "%.0f" or math.abs(value) >= 10 and "%.1f" or "%.2f"
  return (digits:format(value))
end

local function show_cell(cell)
  if not cell then return "–" end
  if runs == 1 or not cell[2] or cell[2] == cell[3] then return show(cell[1]) end
  return ("%s (%s to %s)"):format(show(cell[1]), show(cell[2]), show(cell[3]))
end

-- Figures of one group share a table: { title, names, columns, rows[name][column] }.
local function measure_groups(figures)
  local groups = {}
  for _, figure in ipairs(figures) do
    local group = groups[figure.group]
    if not group then
      group = { title = figure.group, names = { "lkrun" }, columns = {}, rows = {} }
      groups[#groups + 1], groups[figure.group] = group, group
    end
    for _, column in ipairs(figure.columns) do table.insert(group.columns, column) end
    for _, peer in ipairs(figure.peers) do
      if not group.rows[peer] then
        table.insert(group.names, peer)
        group.rows[peer] = {}
      end
      measure_peer(figure, peer, group.rows[peer])
    end
  end
  for _, group in ipairs(groups) do group.rows.lkrun = measure_lkrun(group.columns) end
  return groups
end

local function text_of(groups)
  local out = {}
  local function add(...) out[#out + 1] = table.concat { ... } end
  for _, group in ipairs(groups) do
    add("| ", group.title, " |")
    for _, column in ipairs(group.columns) do add(" ", column.title, " |") end
    add("\n|---|", ("---|"):rep(#group.columns), "\n")
    for _, name in ipairs(group.names) do
      add("| ", name, " |")
      for _, column in ipairs(group.columns) do add(" ", show_cell(group.rows[name][column]), " |") end
      add "\n"
    end
    add "\n"
  end
  add(("Medians of %d runs of each (of lkrun: see make bench)%s.\n"):format(runs,
    runs > 1 and ", quartiles in brackets" or ""))
  return table.concat(out)
end

local function save(variable, text)
  local path = os.getenv(variable)
  if not path or path == "" then return end
  local file <close> = assert(io.open(path, "w"))
  assert(file:write(text))
  io.stderr:write(("bench-peers: %s is in %s\n"):format(variable:lower(), path))
end

local groups = measure_groups(load_figures())
local text = text_of(groups)
io.write(text)
save("TABLE", text)
save("PICTURE", require "picture" (groups))
