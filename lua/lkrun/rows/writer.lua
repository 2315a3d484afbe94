--- Writes files of rows. Encoding rows is apart from putting them into the file, so that workers can do it:
--- an encoder gives the bytes of a result's rows and, for formats in which the first row decides the shape of
--- the file (the columns of CSV, the dtype and sizes of .npy), a signature of that shape. All rows of a file
--- must fit the signature of the first.
local core = require "lkrun.core.rows"
local format = require "lkrun.rows.format"
local value_text = require "lkrun.core.value_text"

local writer = {}

local function put_lines(out, value)
  local kind = type(value)
  if kind ~= "string" and kind ~= "number" then
    error(("%s is not a line; expected a string or a number"):format(value_text.type(value)), 0)
  end
  local line = tostring(value)
  if line:find "[\r\n]" then error("a line has a line end in it; expected text without", 0) end
  out[#out + 1] = line
  out[#out + 1] = "\n"
end

local function encode_lines(result)
  if result == nil or type(result) == "userdata" then return nil end
  local out = {}
  if type(result) == "table" then
    for _, value in ipairs(result) do put_lines(out, value) end
    if #out == 0 and next(result) ~= nil then
      error("a table without [1] is not a line; expected a sequence of strings", 0)
    end
  else
    put_lines(out, result)
  end
  return out[1] and table.concat(out)
end

local function json_encoder()
  local encode = require("lkrun.core.json").encode
  local null = require("lkrun.core.json").null
  return function(result)
    if result == nil or result == null then return nil end
    if type(result) ~= "table" or next(result) == nil and not getmetatable(result) then
      return type(result) ~= "table" and encode(result) .. "\n" or nil
    end
    if type(result[1]) ~= "table" then return encode(result) .. "\n" end
    local out = {}
    for _, row in ipairs(result) do out[#out + 1] = encode(row) .. "\n" end
    return table.concat(out)
  end
end

--- An encoder: encode(result) gives the bytes of the result's rows, nil where there are none, and a signature.
---@param kind string
---@param columns string[]?
---@return fun(result: any): string?, string?
function writer.encoder(kind, columns)
  if format.delimiters[kind] then return core.encoder(format.delimiters[kind], columns) end
  if kind == "npy" then return core.npy_encoder() end
  if kind == "jsonl" then return json_encoder() end
  return encode_lines
end

--- A function that turns a record of CSV with the header `own` into the bytes of one with the header `header`,
--- which may have more columns. Nil and the column where `header` lacks a column of `own`.
---@param delimiter string
---@param header string
---@param own string
---@return (fun(record: string): string)?, string?
function writer.converter(delimiter, header, own)
  local columns, known = core.decoder(delimiter)(header), {}
  for _, column in ipairs(columns) do known[column] = true end
  local names = core.decoder(delimiter)(own)
  for _, column in ipairs(names) do
    if not known[column] then return nil, column end
  end
  local decode, encode = core.decoder(delimiter, names), core.encoder(delimiter, columns)
  return function(record) return encode(decode(record)) end
end

---@class lkrun.rows.Writer
---@field name string in messages
local Writer = {}
Writer.__index = Writer
Writer.__close = function(self) self:close() end

-- Rows of CSV that lack some of the file's columns, encoded again with all columns. Nil and the reason where they
-- have a column that the file does not have.
local function widen(self, bytes, signature)
  local delimiter, columns = format.delimiters[self.format], self.signature:sub(1, -2)
  local convert, unknown = writer.converter(delimiter, columns, signature:sub(1, -2))
  if not convert then
    return nil, ("it has a column '%s'; the first result's are %s (name all of them in `columns`)")
      :format(unknown, table.concat(core.decoder(delimiter)(columns), ", "))
  end
  local out = {}
  local reader <close> = core.over(bytes, delimiter)
  for _, record in reader:each(0) do out[#out + 1] = convert(record) end
  return table.concat(out)
end

--- The bytes of rows whose signature is not that of the file, as the file takes them; the signature of the
--- first rows becomes that of the file. Nil and the reason where the rows don't fit.
---@param bytes string
---@param signature string
---@return string?, string?
function Writer:fit(bytes, signature)
  if not self.signature then
    self.signature = signature
    return (self.format == "npy" and core.npy_header(signature, 0) or signature) .. bytes
  end
  if self.format == "npy" then
    return nil, ("its rows are %s, the first result's are %s; rows of a .npy file are alike")
      :format(signature, self.signature)
  end
  return widen(self, bytes, signature)
end

--- Adds what an encoder made of a result. On failure returns nil, the reason, and true where the rows do not
--- fit those before them, false where the file can't be written.
---@param bytes string
---@param signature string?
---@return boolean?, string?, boolean?
function Writer:add(bytes, signature)
  if signature and signature ~= self.signature then
    local fitted, problem = self:fit(bytes, signature)
    if not fitted then return nil, problem, true end
    bytes = fitted
  end
  self.length = self.length + #bytes
  local done, problem = self.output:write(bytes)
  if done then return true end
  return nil, ("%s: %s"):format(self.name, problem), false
end

-- The header of a .npy file, for which the number of rows is known only at the end; nil for other formats.
local function final_start(self)
  if self.format ~= "npy" or not self.signature then return nil end
  local sizes = { f64 = 8, f32 = 4, i64 = 8, i32 = 4, u8 = 1, bool = 1 }
  local row = sizes[self.signature:match "^%w+"]
  for size in self.signature:gmatch "%f[%d]%d+%f[,\0]" do row = row * tonumber(size) end
  local header = core.npy_header(self.signature, 0)
  return core.npy_header(self.signature, (self.length - #header) // row)
end

--- Ends the file: it is flushed to the disk and takes its name. Nil and the reason where that fails.
---@return boolean?, string?
function Writer:commit()
  local done, problem = true, nil
  if self.format == "npy" and not self.signature then -- no row said what the dtype is
    done, problem = self.output:write(core.npy_header("f64 ", 0))
  end
  if done then done, problem = self.output:commit(final_start(self)) end
  if done then return true end
  return nil, ("%s: %s"):format(self.name, problem)
end

--- Removes what was written, unless it was committed.
function Writer:close() self.output:close() end

-- Standard output in place of a file: rows appear as they come.
local StandardOutput = {}
StandardOutput.__index = StandardOutput

function StandardOutput:write(bytes)
  local done, problem = io.stdout:write(bytes)
  if not done then return nil, problem end
  local now = self.clock()
  if now - self.flushed > 0.2 then
    self.flushed = now
    return io.stdout:flush()
  end
  return true
end

function StandardOutput:commit() return io.stdout:flush() end -- luacheck: ignore self

function StandardOutput:close() end -- luacheck: ignore self

--- Opens a file for writing; a file of that name stays as it is until the new one is committed. Raises, naming
--- the file, where it cannot be made.
---@param path string "-": standard output
---@param kind string
---@param columns string[]? of a CSV file: its header
---@return lkrun.rows.Writer
function writer.open(path, kind, columns)
  local self = setmetatable({ name = path == "-" and "standard output" or path, format = kind, length = 0 },
    Writer)
  if path == "-" then
    if kind == "npy" then
      error("standard output: a .npy file has its size at its start, so a stream will not do; expected a file", 0)
    end
    self.output = setmetatable({ clock = require "lkrun.clock", flushed = 0 }, StandardOutput)
  else
    local problem
    self.output, problem = require("lkrun.core.output").open(path)
    if not self.output then error(("%s: %s"):format(path, problem), 0) end
  end
  local delimiter = format.delimiters[kind]
  if delimiter and columns then
    self.signature = core.encoder(delimiter, columns)(columns)
    self.output:write(self.signature)
  end
  return self
end

return writer
