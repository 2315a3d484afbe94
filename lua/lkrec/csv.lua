--- Comma-separated values (RFC 4180), read and written a row at a time.
---@class lkrec.csv
local csv = {}

local MAX_CAPTURES = 32 -- what one Lua pattern can capture

-- The fields of a record that holds quotes; nil while a quoted field is still open at its end.
local function quoted_fields(record, delimiter)
  local fields, at = {}, 1
  while true do
    if record:sub(at, at) == '"' then
      local closing = record:find('"', at + 1, true)
      while closing and record:sub(closing + 1, closing + 1) == '"' do -- a quote in the text
        closing = record:find('"', closing + 2, true)
      end
      if not closing then return nil end
      fields[#fields + 1] = record:sub(at + 1, closing - 1):gsub('""', '"')
      at = closing + 1
      if at <= #record and record:sub(at, at) ~= delimiter then
        return nil, "text after a closing quote"
      end
    else
      local stop = record:find(delimiter, at, true) or #record + 1
      fields[#fields + 1] = record:sub(at, stop - 1)
      at = stop
    end
    if at > #record then return fields end
    at = at + 1
  end
end

local function plain_fields(record, delimiter)
  local fields = {}
  for field in (record .. delimiter):gmatch("(.-)" .. delimiter) do
    fields[#fields + 1] = field
  end
  return fields
end

-- One pattern that takes a whole record apart is three times as fast as a loop over its fields.
local function record_pattern(count, delimiter)
  if count > MAX_CAPTURES then return nil end
  local field = "([^" .. delimiter .. "]*)"
  return "^" .. field .. (delimiter .. field):rep(count - 1) .. "$"
end

--- Iterates over the records of a file; the first one is its header. Fields are strings, quoted
--- ones without their quotes; they may hold delimiters, quotes and line ends. Lines may end in LF
--- or CR LF; a byte order mark and empty lines are skipped. The delimiter is a tab where the header
--- has tabs and no comma, else a comma.
---@param path string
---@return fun():integer?, string[]? # the line that a record begins on, and its fields
---@return nil, nil
---@return file* # closed at the end of the loop
-- Raises when the file cannot be read, a record has another number of fields than the header, or
-- a quoted field does not end; every error names file and line.
function csv.rows(path)
  local file, why = io.open(path, "rb")
  if not file then
    error(("lkrun: lkrec.csv.rows: %s; expected a readable file"):format(why), 0)
  end
  local line, delimiter, pattern, count = 0, nil, nil, nil

  local function fail(at, what)
    error(("lkrun: lkrec.csv.rows: %s:%d: %s"):format(path, at, what), 0)
  end

  local function read_line()
    local text, trouble = file:read("L")
    if not text then
      if trouble then fail(line + 1, trouble .. "; expected a readable file") end
      return nil
    end
    line = line + 1
    return text
  end

  local function without_line_end(text) return (text:gsub("\r?\n$", "")) end

  local function next_row()
    local text
    repeat
      local raw = read_line()
      if not raw then return nil end
      text = without_line_end(raw)
      if line == 1 and text:sub(1, 3) == "\xEF\xBB\xBF" then text = text:sub(4) end
    until text ~= ""
    delimiter = delimiter or (text:find("\t", 1, true) and not text:find(",", 1, true) and "\t" or ",")

    local first, fields = line, nil
    if not text:find('"', 1, true) then
      if pattern then fields = { text:match(pattern) } end
      if not fields or #fields == 0 then fields = plain_fields(text, delimiter) end
    else
      local trouble
      fields, trouble = quoted_fields(text, delimiter)
      local parts = { text .. "\n" }
      while not fields and not trouble do
        local more = read_line()
        if not more then fail(first, 'a quoted field does not end; expected a closing "') end
        parts[#parts + 1] = more
        -- Only a line with a quote can close the field: long fields are not rescanned in vain.
        if more:find('"', 1, true) then
          fields, trouble = quoted_fields(without_line_end(table.concat(parts)), delimiter)
        end
      end
      if trouble then fail(first, trouble .. "; expected a delimiter or the end of the line") end
    end

    if not count then
      count = #fields
      pattern = record_pattern(count, delimiter)
    elseif #fields ~= count then
      fail(first, ("%d fields; expected %d, as in the header"):format(#fields, count))
    end
    return first, fields
  end
  return next_row, nil, nil, file
end

--- One record as text: cells are joined by commas, quoted where they must be; no line end.
--- Floats keep every digit (17 where 15 do not suffice), nil is an empty cell.
---@param cells table # cells.n of them where set, else #cells
---@return string
function csv.record(cells)
  local out = {}
  for k = 1, cells.n or #cells do
    local cell = cells[k]
    if cell == nil then
      cell = ""
    elseif math.type(cell) == "float" then
      local short = ("%.15g"):format(cell)
      cell = tonumber(short) == cell and short or ("%.17g"):format(cell)
    else
      cell = tostring(cell)
    end
    if cell:find('[",\r\n]') then cell = '"' .. cell:gsub('"', '""') .. '"' end
    out[k] = cell
  end
  -- A lone empty cell would be an empty line, which readers skip.
  if #out == 1 and out[1] == "" then return '""' end
  return table.concat(out, ",")
end

--- Writes records to a file, which appears whole or not at all.
---@param path string
---@param header string[]
---@param rows table[]|fun():table? # rows as csv.record takes them: a sequence, or an iterator
-- Raises when the file cannot be written; what the iterator raises passes through.
function csv.write(path, header, rows)
  local temporary = path .. ".tmp"
  local file
  local _ <close> = setmetatable({}, { __close = function()
    if io.type(file) == "file" then file:close() end
    os.remove(temporary) -- still there only after an error
  end })
  local function check(done, why)
    if not done then
      error(("lkrun: lkrec.csv.write: %s: %s; expected a path that can be written")
        :format(path, why), 0)
    end
    return done
  end
  file = check(io.open(temporary, "wb"))
  check(file:write(csv.record(header), "\n"))
  local next_row, at = rows, 0
  if type(rows) == "table" then
    next_row = function()
      at = at + 1
      return rows[at]
    end
  end
  for row in next_row do check(file:write(csv.record(row), "\n")) end
  check(file:close())
  check(os.rename(temporary, path))
end

return csv
