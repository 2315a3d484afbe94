--- lkrun map: applies an operation to each task of a file, and writes the results into a file.
local command = require "lkrun.command"
local format = require "lkrun.rows.format"
local map = require "lkrun.command.map.run"

local fail, whole_number = command.fail, command.whole_number
local NAME <const> = "map"

local function seconds(text)
  local number = tonumber(text)
  if number and number > 0 and number < math.huge then return number end
  return nil, ("'%s' is not a number of seconds above 0"):format(text)
end

-- The number of bytes that "512M" says.
local function bytes(text)
  local number, unit = text:match "^(%d+)([KMGT]?)i?B?$"
  local shift = ({ [""] = 0, K = 10, M = 20, G = 30, T = 40 })[unit]
  local value = number and math.tointeger(tonumber(number))
  if value and value >= 1 and value << shift >> shift == value and value << shift >= 1 << 20 then
    return value << shift
  end
  return nil, ("'%s' is not a number of bytes, 1M or more (K, M, G, T are powers of 1024)"):format(text)
end

local function shard(text)
  local i, n = text:match "^(%d+)/(%d+)$"
  if not i then i, n = text:match "^(%d+)%-of%-(%d+)$" end
  i, n = math.tointeger(tonumber(i)), math.tointeger(tonumber(n))
  if i and n and i >= 1 and i <= n then return { i, n } end
  return nil, ("'%s' is not a shard; expected I/N or I-of-N with I from 1 to N"):format(text)
end

local function types(text) return require("lkrun.rows.source").types_of(text) end

local function json(text)
  local good, value = pcall(require("lkrun.json").decode, text)
  if good then return { value = value } end
  return nil, ("--op-args: %s"):format((value:gsub("^lkrun: lk.json.decode: ", "")))
end

local function define(parser)
  parser:argument("operation", "A Lua file that returns function(model, task), or a table {run =, setup =, columns =}.")
    :argname "OP.lua"
  parser:option("--model", "The model, as lk.load reads it; without it the model is nil."):argname "FILE"
  parser:option("--tasks", "The tasks, one a row: .csv .tsv .jsonl .txt .npy, or - with --format.")
    :argname("FILE"):count "1"
  parser:option("--output", "Where the results go, in one of these formats; - is standard output.")
    :argname("FILE"):count "1"
  parser:option("--jobs -j", "Worker processes."):argname("N"):convert(whole_number(1, 4096))
  parser:option("--format", "Of files whose names don't say it; IN,OUT: of the tasks and of the output.")
    :argname "FORMAT"
  parser:option("--types", "Of CSV columns, such as user:i64,score:f64 (also bool); others are strings.")
    :argname("LIST"):convert(types)
  parser:option("--shard", "Only the I-th of N parts of the tasks; lkrun merge joins their outputs.")
    :argname("I/N"):convert(shard)
  parser:flag("--resume", "Goes on where an earlier run ended; keeps a journal meanwhile. --resume=strict: fails where "
    .. "something has changed since, instead of starting afresh.")
  parser:flag("--resume-strict"):hidden(true)
  parser:option("--journal", "With --resume: the journal; OUTPUT.lkrun-journal by default."):argname "FILE"
  parser:option("--seed", "Root of the tasks' random streams."):argname("N")
    :convert(whole_number(math.mininteger, math.maxinteger))
  parser:option("--retries", "How often a task is tried again whose worker died."):argname("N")
    :convert(whole_number(0, 1000000))
  parser:option("--timeout", "Seconds a task may run."):argname("S"):convert(seconds)
  parser:option("--memory-limit", "Bytes of its own a worker may hold, such as 2G."):argname("BYTES"):convert(bytes)
  parser:option("--on-error", "What a failed task does: end the run, or be left out."):argname("raise|skip")
    :choices { "raise", "skip" }:default "raise"
  parser:option("--failed", "With skip: where failed tasks and their errors go."):argname "FILE"
  parser:option("--op-args", "A value for OP.lua: its `...`, and the second argument of setup.")
    :argname("JSON"):convert(json)
  parser:flag("--dry-run", "Says what would be done, and does nothing.")
  parser:flag("--quiet -q", "No progress and no summary.")
end

-- The formats of the tasks and the output: what the names of the files say, else --format.
local function choose_formats(options)
  local known = {}
  for _, name in ipairs(format.names) do known[name] = true end
  local given = options.format or ""
  local input, output = given:match "^([^,]*),(.*)$"
  local forced = input ~= nil
  if not forced then input, output = given, given end
  for _, name in ipairs { input, output } do
    if name ~= "" and not known[name] then
      fail(2, "%s: --format: '%s' is unknown; expected one of %s", NAME, name, table.concat(format.names, ", "))
    end
  end
  local function choose(path, name, what, of)
    local found = forced and name ~= "" and name or of(path, name ~= "" and name or nil)
    if not found then
      fail(2, "%s: --%s: the name of %s does not say its format; expected --format, or .%s", NAME, what,
        path == "-" and "a stream" or path, table.concat(format.names, " ."))
    end
    return found
  end
  return choose(options.tasks, input, "tasks", format.of_input),
    choose(options.output, output, "output", format.of)
end

local function check(options)
  options.tasks_format, options.output_format = choose_formats(options)
  if options.types and not format.delimiters[options.tasks_format] then
    fail(2, "%s: --types: the tasks are %s; expected csv or tsv, which have typed columns", NAME, options.tasks_format)
  end
  if options.tasks == "-" and options.shard then
    fail(2, "%s: --shard: the tasks are standard input, which can't be counted beforehand; expected a file", NAME)
  end
  if options.tasks == "-" and options.tasks_format == "npy" then
    fail(2, "%s: --tasks: standard input can't be .npy; expected a file", NAME)
  end
  if options.output == "-" and options.output_format == "npy" then
    fail(2, "%s: --output: standard output can't be .npy, whose size stands at its start; expected a file", NAME)
  end
  if options.failed and options.on_error ~= "skip" then
    fail(2, "%s: --failed is given without --on-error skip; expected both", NAME)
  end
  options.resume = options.resume_strict and "strict" or options.resume
  if options.journal and not options.resume then
    fail(2, "%s: --journal is given without --resume; expected both", NAME)
  end
  if options.resume and options.tasks == "-" then
    fail(2, "%s: --resume: the tasks are standard input, which can't be read once more; expected a file", NAME)
  end
  if options.resume and options.output == "-" and not options.journal then
    fail(2, "%s: --resume: standard output has no name for a journal; expected --journal FILE", NAME)
  end
  if options.journal and (options.journal == options.output or options.journal == options.tasks) then
    fail(2, "%s: --journal: %s is another file of this run; expected a file of its own", NAME, options.journal)
  end
  if options.failed == options.output then
    fail(2, "%s: --failed and --output are the same file; expected two files", NAME)
  end
end

-- argparse has no flag whose value may be left out, so --resume=strict becomes a hidden flag.
local function prepare(arguments)
  for i, argument in ipairs(arguments) do
    local how = argument:match "^%-%-resume=(.*)$"
    if how == "strict" then
      arguments[i] = "--resume-strict"
    elseif how then
      fail(2, "%s: --resume: '%s' is unknown; expected --resume or --resume=strict", NAME, how)
    end
  end
  return arguments
end

return {
  prepare = prepare,
  summary = "Applies an operation to every task of a file, in parallel, and writes its results into a file.",
  define = define,
  epilog = "Examples:\n  lkrun map op.lua --tasks tasks.csv --output results.csv\n"
    .. "  lkrun map op.lua --model model.npz --tasks users.txt --output lists.jsonl --jobs 8 --resume\n"
    .. "  lkrun map op.lua --tasks tasks.csv --seed 1 --shard 2/3 --output part2.csv",
  run = function(options)
    check(options)
    return map.run(options)
  end,
}
