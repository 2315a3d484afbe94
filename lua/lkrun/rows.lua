--- Reads and writes files of rows: CSV, TSV, JSON lines, plain lines, and .npy. Rows are read and written one by
--- one, so the memory needed does not grow with the file.
local fail = require "lkrun.internal.fail"
local format = require "lkrun.rows.format"
local check = require("lkrun.internal.options").check
local value_text = require "lkrun.core.value_text"
local writer = require "lkrun.rows.writer"
local source = require "lkrun.rows.source"

---@class lkrun.rows
local rows = {}

---@class lkrun.RowsOptions
---@field format? "csv"|"tsv"|"jsonl"|"lines"|"npy" where the path's extension does not say it
---@field types? table<string, "string"|"i64"|"f64"|"bool"> of CSV columns by name; "string" by default
---@field header? boolean false: a CSV row is a sequence of cells, and so is the first one
---@field delimiter? string of CSV, one character; "": a tab where the first line has tabs and no comma, else a comma
---@field columns? string[] when writing CSV: its header

-- The format of a file: from the options, else from its name by `of`. Raises where neither gives one.
local function format_of(where, path, options, of)
  if type(path) ~= "string" then fail(where, "the path is %s; expected a string", value_text.type(path)) end
  local kind = options.format or of(path)
  for _, name in ipairs(format.names) do
    if kind == name then return kind end
  end
  fail(where, "%s: its format is %s; expected options.format, or an extension: %s", path,
    kind == nil and "not known" or value_text.brief(kind), table.concat(format.names, ", "))
end

local any_format = { any = true } -- format_of checks the value
local reading = {
  format = any_format, types = { type = "table" }, header = { type = "boolean" },
  delimiter = {
    fits = function(value) return type(value) == "string" and #value <= 1 and not value:find '["\r\n]' end,
    expected = "one character, neither a quote nor a line end",
  },
}
local writing = { format = any_format, columns = { type = "table" } }

-- Calls as pcall does; errors of reading and writing are raised again in the name of the public function.
local function attempt(where, call, ...)
  local good, value, more = pcall(call, ...)
  if good then return value, more end
  if type(value) ~= "string" or value:find "interrupted$" then error(value, 0) end
  fail(where, "%s", value:gsub("^lkrun: [%w_.]+: ", ""))
end

--- Iterates over the rows of a file: for each the line on which it begins (of `.npy` its index), and
--- the row: of CSV a table by the names in the header, whose cells are strings unless `types` says
--- otherwise; of JSON lines the value; of plain lines the line; of `.npy` a tensor, or a number. The
--- file is closed at the end of the loop.
---@param path string
---@param options? lkrun.RowsOptions
---@return fun(): integer?, any
---@return nil, nil
---@return table # closed at the end of the loop
--- Raises, naming file and line: a file that can't be read, a record with another number of fields than
--- the header, text after a closing quote, a quoted field that does not end, a cell that is not of its
--- type, a line that is no JSON.
function rows.read(path, options)
  local where <const> = "lk.rows.read"
  options = check(where, reading, options)
  local kind = format_of(where, path, options, format.of_input)
  local opened = attempt(where, source.open, path, {
    format = kind == "tsv" and "csv" or kind, types = options.types, header = options.header,
    delimiter = kind == "tsv" and "\t" or options.delimiter,
  })
  local each, decode = opened:each(0), opened.decode
  local function step()
    local number, record = each()
    if not number then return nil end
    local row, problem = decode(record)
    if problem then error(("%s:%d: %s"):format(path, opened:line(), problem), 0) end
    return kind == "npy" and number or opened:line(), row
  end
  return function() return attempt(where, step) end, nil, nil, opened
end

-- A function that gives one row at each call, from a sequence or an iterator.
local function each_of(where, list)
  if type(list) == "function" or (getmetatable(list) or {}).__call then return list end
  if type(list) ~= "table" then
    fail(where, "rows are %s; expected a sequence or an iterator", value_text.type(list))
  end
  local i = 0
  return function()
    i = i + 1
    return list[i]
  end
end

--- Writes a file of rows, which appears whole or not at all. A row of CSV is a table by names, or with
--- `columns` a sequence of cells; of JSON lines any value that JSON has; of plain lines a string or a
--- number; of `.npy` a tensor, a number or a sequence of numbers, all alike. Without `columns` the
--- header is the first row's names, sorted; later rows may lack some.
---@param path string
---@param list any[]|fun(): any rows: a sequence, or an iterator that gives one a call, and nil at the end
---@param options? lkrun.RowsOptions
--- Raises, naming the file, where it can't be written, and, naming the row's number, where a row can't
--- be; what was there before is then unchanged. What the iterator raises passes through.
function rows.write(path, list, options)
  local where <const> = "lk.rows.write"
  options = check(where, writing, options)
  local kind, columns = format_of(where, path, options, format.of), options.columns
  local each = each_of(where, list)
  local output <close> = attempt(where, writer.open, path, kind, columns)
  local encode = writer.encoder(kind, columns)
  local number = 0
  local function refuse(problem)
    fail(where, "%s: row %d: %s", path, number, (problem:gsub("^lkrun: [%w_.]+: ", "")))
  end
  for row in each do
    number = number + 1
    local good, bytes, signature = pcall(encode, row)
    if not good then
      if type(bytes) ~= "string" or bytes:find "interrupted$" then error(bytes, 0) end
      refuse(bytes)
    elseif bytes then
      local done, problem, is_unfit = output:add(bytes, signature)
      if is_unfit then refuse(problem) elseif not done then fail(where, "%s", problem) end
    end
  end
  local done, problem = output:commit()
  if not done then fail(where, "%s", problem) end
end

return rows
