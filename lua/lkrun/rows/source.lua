--- Reads files of rows. A source gives its records one after the other as raw bytes, and a function that
--- decodes a record into a row. Decoding is the larger part of the work, so `lkrun map` leaves it to workers.
local core = require "lkrun.core.rows"
local format = require "lkrun.rows.format"

local source = {}

--- "a:i64,b:f64" as { a = "i64", b = "f64" }; nil and a message where it is no such text.
---@param text string
---@return table<string, string>?, string?
function source.types_of(text)
  local types, known = {}, { string = true, i64 = true, f64 = true, bool = true }
  for item in (text .. ","):gmatch "([^,]*)," do
    local column, type = item:match "^(.*):(%w+)$"
    if not column then return nil, ("'%s' is not a column and type; expected a:i64,b:f64"):format(item) end
    if not known[type] then return nil, ("'%s' has an unknown type; there are string, i64, f64, bool"):format(item) end
    types[column] = type
  end
  return types
end

-- The types of the columns, in the order of the header. Raises for a type of a column that is not there.
local function types_in_order(name, header, types)
  local ordered, left = {}, {}
  for column in pairs(types) do left[column] = true end
  for i, column in ipairs(header) do
    ordered[i] = types[column] or "string"
    left[column] = nil
  end
  local unknown = next(left)
  if unknown then
    error(("%s: it has no column '%s', for which a type is given; its columns are %s")
      :format(name, unknown, table.concat(header, ", ")), 0)
  end
  return ordered
end

local function check_header(name, header)
  local seen = {}
  for _, column in ipairs(header) do
    if seen[column] then
      error(("%s: its header has the column '%s' twice; expected names that differ"):format(name, column), 0)
    end
    seen[column] = true
  end
end

local function decode_json(record)
  local good, value = pcall(require("lkrun.core.json").decode, record)
  if good then return value end
  return nil, (value:gsub("^lkrun: lk.json.decode: line 1, ", ""))
end

local function as_it_is(record) return record end

---@class lkrun.rows.Source
---@field name string in messages
---@field format string
---@field header string[]? names of the columns
---@field decode fun(record: any): any, string? gives the row of a record, or nil and what is wrong with it
---@field count integer? how many records there are, where that is known at once
local Source = {}
Source.__index = Source
Source.__close = function(self) self:close() end

-- A source whose records are the rows of a tensor, and need no decoding.
local Tensor = setmetatable({}, { __index = Source })
Tensor.__index = Tensor
Tensor.__close = function() end

function Tensor:skip(n)
  local passed = math.min(n or self.count, self.count - self.at)
  self.at = self.at + passed
  return passed
end

function Tensor:each(base, last)
  local tensor, scalars = self.tensor, self.tensor:dim() == 1
  local shift = self.at - base
  local i, stop = base, math.min(last or math.maxinteger, self.count - shift)
  return function()
    if i >= stop then return nil end
    i = i + 1
    if scalars then return i, tensor:get(i + shift) end
    return i, tensor:select(1, i + shift)
  end
end

function Tensor:close() end -- luacheck: ignore self

function Tensor:again() return true end -- luacheck: ignore self

function Tensor:line() return self.at end -- luacheck: ignore self

local function open_tensor(path)
  local tensor = require("lkrun.files").load(path)
  if tensor:dim() == 0 then error(("%s: it is a single number; expected rows"):format(path), 0) end
  return setmetatable({
    name = path, format = "npy", tensor = tensor, count = tensor:size(1), at = 0, decode = as_it_is,
  }, Tensor)
end

-- Decodes records of a file without a header. The reader knows the delimiter only once it has read one.
local function bare_decoder(reader)
  local decode
  return function(record)
    decode = decode or core.decoder(reader:delimiter())
    return decode(record)
  end
end

--- Opens a file. Raises, naming the file, where it can't be read or its header can't be used.
---@param path string "-": standard input
---@param options { format: string, types: table<string, string>?, header: boolean?, delimiter: string? }
---@return lkrun.rows.Source
function source.open(path, options)
  local kind = options.format
  if kind == "npy" then return open_tensor(path) end
  local delimiter = options.delimiter or format.delimiters[kind]
  local name = path == "-" and "standard input" or path
  local reader = core.open(path, name, delimiter and "csv" or kind, delimiter)
  local self = setmetatable({ name = name, path = path, format = kind, reader = reader, decode = as_it_is }, Source)
  if kind == "jsonl" then self.decode = decode_json end
  if delimiter then
    if options.header == false then
      self.decode = bare_decoder(reader)
    else
      local _, header = reader:next()
      if not header then error(("%s: it is empty; expected a header"):format(name), 0) end
      self.header = core.decoder(reader:delimiter())(header)
      check_header(name, self.header)
      self.decode = core.decoder(reader:delimiter(), self.header,
        options.types and types_in_order(name, self.header, options.types))
    end
  end
  return self
end

--- Passes over n records, or all that are left; returns how many there were.
---@param n integer?
---@return integer
function Source:skip(n) return self.reader:skip(n) end

--- For a generic `for`: the number and bytes of each record from here on, numbered from base + 1 to `last`.
---@param base integer
---@param last integer?
---@return fun(): integer?, any
function Source:each(base, last) return self.reader:each(base, last) end

--- The line on which the last record began.
---@return integer
function Source:line() return self.reader:line() end

--- Whether the file could be opened and read once more; a stream could not.
---@return boolean
function Source:again() return self.path ~= "-" and self.reader:again() end

function Source:close() self.reader:close() end

return source
