--- lkrun merge: joins the outputs of the shards of one map into the output that the whole map would have.
local command = require "lkrun.command"
local core = require "lkrun.core.rows"
local format = require "lkrun.rows.format"
local writer = require "lkrun.rows.writer"

local fail = command.fail
local PIECE <const> = 1 << 20 -- bytes that are copied at once

local function define(parser)
  parser:argument("output", "The file to write; - is standard output."):argname "OUT"
  parser:argument("shards", "The outputs of lkrun map --shard 1/N to N/N, in this order."):argname("SHARD"):args "+"
  parser:option("--format", "Of files whose names don't say it: " .. table.concat(format.names, ", ") .. ".")
    :argname "FORMAT"
end

local function choose_format(options)
  local kind = format.of(options.output, options.format) or format.of(options.shards[1], options.format)
  if not kind then
    fail(2, "merge: the name of %s does not say its format; expected --format", options.shards[1])
  end
  return kind
end

local function put(output, bytes, signature) command.check("merge", output:add(bytes, signature)) end

local function open(path)
  local file, why = io.open(path, "rb")
  -- A folder can be opened, but not read; from an empty file nothing can be read either.
  if file and file:read(0) == nil and file:seek "end" ~= 0 then file, why = nil, path .. ": it can't be read" end
  if not file then fail(2, "merge: %s; expected the output of a shard", why) end
  return file
end

-- Copies the rest of a file; returns the last byte, nil where there was none.
local function copy(output, file, path)
  local last
  while true do
    local bytes, why = file:read(PIECE)
    if why then fail(2, "merge: %s: %s", path, why) end
    if not bytes then return last end
    put(output, bytes)
    last = bytes:sub(-1)
  end
end

local function merge_lines(output, shards)
  for _, path in ipairs(shards) do
    local file <close> = open(path)
    local last = copy(output, file, path)
    if last and last ~= "\n" then put(output, "\n") end
  end
end

-- A function that turns records of a shard with the header `own` into records with the first shard's header;
-- nil where the two are the same. A shard may lack columns: its header is made from its first result.
local function converter(delimiter, path, own, header, first)
  if own == header then return nil end
  local convert, unknown = writer.converter(delimiter, header, own)
  if not convert then
    fail(2, "merge: %s: it has a column '%s', which %s has not; its columns are %s", path, unknown, first, header)
  end
  return convert
end

-- The output's header is that of the first shard that has one: a shard without a row may have no header.
local function merge_csv(output, shards, kind)
  local delimiter = format.delimiters[kind]
  local header, first
  for _, path in ipairs(shards) do
    local reader <close> = core.open(path, path, "csv", delimiter)
    local _, own = reader:next()
    if own then
      if not header then
        header, first = own, path
        put(output, header .. "\n")
      end
      local convert = converter(delimiter, path, own, header, first)
      for _, record in reader:each(0) do put(output, convert and convert(record) or record .. "\n") end
    end
  end
end

-- The signature of a tensor's rows, as an encoder gives it.
local function signature_of(tensor)
  local sizes = {}
  for d = 2, tensor:dim() do sizes[#sizes + 1] = tensor:size(d) end
  return tensor.dtype .. " " .. table.concat(sizes, ",")
end

local function merge_npy(output, shards)
  local load = require("lkrun.files").load
  local encode = writer.encoder "npy"
  local signature, first
  for _, path in ipairs(shards) do
    local tensor = load(path)
    if tensor:dim() == 0 then fail(2, "merge: %s: it is a single number; expected rows", path) end
    local rows = tensor:size(1)
    if rows > 0 then
      local own = signature_of(tensor)
      if signature and own ~= signature then
        fail(2, "merge: %s: its rows are %s; those of %s are %s", path, own, first, signature)
      end
      signature, first = own, first or path
      local most = math.max(1, PIECE * rows // (tensor:numel() * 8))
      for i = 1, rows, most do
        put(output, (encode(tensor:narrow(1, i, math.min(most, rows - i + 1)))), own)
      end
    end
  end
end

local function run(options)
  local kind = choose_format(options)
  for _, path in ipairs(options.shards) do
    if path == options.output then fail(2, "merge: %s is the output and a shard; expected different files", path) end
    open(path):close()
  end
  local output <close> = command.attempt("merge", 2, writer.open, options.output, kind)
  local merge = format.delimiters[kind] and merge_csv or kind == "npy" and merge_npy or merge_lines
  command.attempt("merge", 2, merge, output, options.shards, kind)
  command.check("merge", output:commit())
  return 0
end

return {
  summary = "Joins the outputs of the shards of one map into what a run without shards writes.",
  define = define,
  run = run,
  epilog = "Examples:\n  lkrun merge results.csv part1.csv part2.csv part3.csv\n"
    .. "  lkrun merge - part1.jsonl part2.jsonl | gzip > results.jsonl.gz",
}
