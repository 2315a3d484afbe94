--- Values as text for people, the way NumPy prints arrays: shape and dtype, aligned columns, and only the ends
--- of what is long. Of the value's own functions only a `__tostring` is called.
local core = require "lkrun.core.tensor"
local keywords = require "lkrun.internal.keywords"

local EDGE <const> = 3 -- elements that are shown at either end of what is cut
local WHOLE <const> = 1000 -- a tensor of more numbers is cut
local ENTRIES <const> = 60 -- a table of more entries is cut, unless they are numbers
local DEPTH <const> = 5 -- tables nested deeper are shown as {...}
local WIDTH <const> = 80 -- characters of a line, by default
local TEXT <const> = 200 -- a string in a table with more characters is cut

-- Those of the indices 1 … n that are shown, and after how many of them there is a gap, if any.
local function shown(n, cut)
  local list = {}
  if cut and n > 2 * EDGE then
    for i = 1, EDGE do list[i] = i end
    for i = 1, EDGE do list[EDGE + i] = n - EDGE + i end
    return list, EDGE
  end
  for i = 1, n do list[i] = i end
  return list
end

-- --- numbers in columns ---

-- The format in which all of these floats are written, with as many digits as the longest needs.
local function float_format(values)
  local low, high, digits = math.huge, 0, 0
  for _, value in ipairs(values) do
    local size = math.abs(value)
    if size ~= 0 and size < math.huge then
      low, high = math.min(low, size), math.max(high, size)
    end
  end
  local scientific = high >= 1e8 or low < 1e-4 or high / low > 1e6
  if high == 0 then scientific = false end
  for _, value in ipairs(values) do
    if math.abs(value) < math.huge then
      local text = scientific and ("%.5e"):format(value):match "^%-?%d+%.?(%d*)e"
        or (("%.6f"):format(value):match "%.(%d*)$")
      digits = math.max(digits, #text:gsub("0+$", ""))
    end
  end
  return scientific and ("%%.%de"):format(digits) or ("%%.%df"):format(math.max(digits, 1))
end

local function number_text(value, format)
  if value ~= value then return "nan" end
  if value == math.huge then return "inf" end
  if value == -math.huge then return "-inf" end
  return format:format(value)
end

-- The texts of numbers or booleans, padded to one width, with the decimal points below each other.
local function column(values)
  local floats = {}
  for _, value in ipairs(values) do
    if math.type(value) == "float" then floats[#floats + 1] = value end
  end
  local format = #floats > 0 and float_format(floats)
  local texts, width = {}, 0
  for i, value in ipairs(values) do
    local is_float = math.type(value) == "float"
    texts[i] = is_float and number_text(value, format) or tostring(value)
    width = math.max(width, #texts[i])
  end
  for i, text in ipairs(texts) do texts[i] = (" "):rep(width - #text) .. text end
  return texts
end

-- Joins the items of one row, and breaks the line where there is no room for the next item.
local function wrap(items, open, close, indent, width)
  local lines, line = {}, open
  for i, item in ipairs(items) do
    local piece = item .. (i < #items and "," or close)
    if #line > #open and indent + #line + 1 + #piece > width then
      lines[#lines + 1] = line
      line = (" "):rep(#open) .. piece
    else
      line = line .. (i > 1 and " " or "") .. piece
    end
  end
  if #items == 0 then line = line .. close end
  lines[#lines + 1] = line
  return table.concat(lines, "\n" .. (" "):rep(indent))
end

-- Numbers of these sizes as nested rows in aligned columns; `get(indices)` gives an element.
local function grid(sizes, get, open, close, width)
  local count = 1
  for _, size in ipairs(sizes) do count = count * size end
  local cut = count > WHOLE
  local lists, gaps = {}, {}
  for d, size in ipairs(sizes) do lists[d], gaps[d] = shown(size, cut) end
  local values, indices = {}, {}
  local function collect(d)
    if d > #sizes then
      values[#values + 1] = get(indices)
      return
    end
    for _, i in ipairs(lists[d]) do
      indices[d] = i
      collect(d + 1)
    end
  end
  collect(1)
  local texts, at = column(values), 0
  local function compose(d)
    local items = {}
    for k in ipairs(lists[d]) do
      if d == #sizes then
        at = at + 1
        items[#items + 1] = texts[at]
      else
        items[#items + 1] = compose(d + 1)
      end
      if k == gaps[d] then items[#items + 1] = "..." end
    end
    if d == #sizes then return wrap(items, open, close, d - 1, width) end
    local between = "," .. ("\n"):rep(#sizes - d) .. (" "):rep(d)
    return open .. table.concat(items, between) .. close
  end
  return compose(1)
end

local function shape_text(sizes) return "[" .. table.concat(sizes, ", ") .. "]" end

-- --- tensors and sparse matrices ---

local function tensor_head(tensor) return ("tensor %s %s"):format(tensor.dtype, shape_text(tensor:size())) end

local function show_tensor(tensor, width)
  local sizes = tensor:size()
  local head = tensor_head(tensor)
  if #sizes == 0 then return head .. " " .. column({ tensor:item() })[1] end
  if tensor:numel() == 0 then return head .. " []" end
  local get = tensor.get
  local body = grid(sizes, function(indices) return get(tensor, table.unpack(indices)) end, "[", "]", width)
  return head .. (body:find("\n", 1, true) and "\n" or " ") .. body
end

-- --- tables ---

local escapes = { ["\n"] = "\\n", ["\t"] = "\\t", ["\r"] = "\\r", ["\\"] = "\\\\", ['"'] = '\\"' }

local function quoted(text)
  if #text > TEXT then
    local half = TEXT // 2
    text = text:sub(1, half) .. "..." .. text:sub(-half)
  end
  text = text:gsub('[\n\t\r\\"]', escapes):gsub("[%c\127]", function(c) return ("\\x%02x"):format(c:byte()) end)
  if not utf8.len(text) then
    text = text:gsub("[\128-\255]", function(c) return ("\\x%02x"):format(c:byte()) end)
  end
  return '"' .. text .. '"'
end

local function key_text(key, state)
  if type(key) == "string" and key:find "^[%a_][%w_]*$" and not keywords[key] then return key end
  return "[" .. (type(key) == "string" and quoted(key) or state.brief(key)) .. "]"
end

local ranks = { number = 1, string = 2, boolean = 3 }

local function before(a, b)
  local rank_a, rank_b = ranks[type(a)] or 4, ranks[type(b)] or 4
  if rank_a ~= rank_b then return rank_a < rank_b end
  if rank_a <= 2 then return a < b end
  return tostring(a) < tostring(b)
end

-- The keys of a table that are not among 1 … length, in order.
local function keys_of(t, length)
  local keys = {}
  for key in next, t do
    local counts = math.type(key) == "integer" and key >= 1 and key <= length
    if not counts then keys[#keys + 1] = key end
  end
  table.sort(keys, before)
  return keys
end

-- The sizes of nested sequences, rectangular and all of numbers or all of booleans; nil for all other tables.
local function numeric_shape(t)
  local sizes, at = {}, t
  while type(at) == "table" and not debug.getmetatable(at) and #sizes < DEPTH do
    sizes[#sizes + 1] = rawlen(at)
    at = rawget(at, 1)
  end
  local kind = type(at)
  if kind ~= "number" and kind ~= "boolean" then return nil end
  local function fits(part, d)
    if d > #sizes then return type(part) == kind end
    if type(part) ~= "table" or rawlen(part) ~= sizes[d] or debug.getmetatable(part) then return false end
    local count = 0
    for _ in next, part do count = count + 1 end
    if count ~= sizes[d] then return false end
    for i = 1, sizes[d] do
      if not fits(rawget(part, i), d + 1) then return false end
    end
    return true
  end
  return fits(t, 1) and sizes or nil
end

local function element(t, indices)
  for _, i in ipairs(indices) do t = rawget(t, i) end
  return t
end

local function is_scalar(value) return type(value) ~= "table" and type(value) ~= "userdata" end

-- The keys that all rows have, where each row is a table of the same string keys and of plain values; else nil.
local function record_keys(rows)
  local keys
  for _, row in ipairs(rows) do
    if type(row) ~= "table" or debug.getmetatable(row) or rawlen(row) > 0 then return nil end
    local own = keys_of(row, 0)
    keys = keys or own
    if #own ~= #keys or #keys == 0 then return nil end
    for i, key in ipairs(own) do
      if key ~= keys[i] or type(key) ~= "string" or not is_scalar(rawget(row, key)) then return nil end
    end
  end
  return keys
end

-- One line a row, with the values of one key below each other.
local function records(rows, keys, state)
  local lines = {}
  for i in ipairs(rows) do lines[i] = "{" end
  for k, key in ipairs(keys) do
    local values, numbers = {}, true
    for i, row in ipairs(rows) do
      values[i] = rawget(row, key)
      numbers = numbers and type(values[i]) == "number"
    end
    local texts, widest = values, 0
    if numbers then texts = column(values) end
    for i, text in ipairs(texts) do
      texts[i] = numbers and text or state.brief(text)
      widest = math.max(widest, utf8.len(texts[i]) or #texts[i])
    end
    for i, text in ipairs(texts) do
      local last = k == #keys
      local padding = last and "" or (" "):rep(widest - (utf8.len(text) or #text))
      lines[i] = lines[i] .. key_text(key, state) .. " = " .. text .. (last and "}" or "," .. padding .. " ")
    end
  end
  return lines
end

local function tostring_of(value)
  if type(value) == "userdata" and rawequal(value, require "lkrun.json".null) then return "lk.null" end
  local ok, text = pcall(tostring, value)
  return ok and text or ("%s whose __tostring raised an error"):format(type(value))
end

local function function_text(value)
  local info = debug.getinfo(value, "S")
  if info.what == "C" then return tostring_of(value) end
  return ("%s (%s:%d)"):format(tostring_of(value), info.short_src, info.linedefined)
end

local show_table

-- The text of a value inside another one, on one line if possible.
local function inner(value, state, indent)
  local kind = type(value)
  if kind == "string" then return quoted(value) end
  if kind == "function" then return function_text(value) end
  if kind == "number" and math.type(value) == "float" and value == value and math.abs(value) < math.huge then
    local short = ("%.14g"):format(value)
    return short:find "[.e]" and short or short .. ".0"
  end
  if core.is(value) then return value:numel() <= 2 * EDGE and show_tensor(value, math.huge) or tensor_head(value) end
  if kind == "table" then return show_table(value, state, indent) end
  local text = tostring_of(value)
  return text:find("\n", 1, true) and text:match "^[^\n]*" .. " ..." or text
end

local function lines_of(t, state, indent)
  local length = rawlen(t)
  local keys = keys_of(t, length)
  local lines = {}
  local list, gap = shown(length, length + #keys > ENTRIES)
  local rows = {}
  for i, at in ipairs(list) do rows[i] = rawget(t, at) end
  local same = #rows > 1 and record_keys(rows)
  local row_lines = same and records(rows, same, state)
  for i, at in ipairs(list) do
    lines[#lines + 1] = row_lines and row_lines[i] or inner(rawget(t, at), state, indent + 2)
    if i == gap then lines[#lines + 1] = ("... (%d more)"):format(length - 2 * EDGE) end
  end
  for i, key in ipairs(keys) do
    if i > ENTRIES then
      lines[#lines + 1] = ("... (%d more)"):format(#keys - ENTRIES)
      break
    end
    local name = key_text(key, state)
    lines[#lines + 1] = name .. " = " .. inner(rawget(t, key), state, indent + 2)
  end
  return lines, same and true or false
end

function show_table(t, state, indent)
  local meta = debug.getmetatable(t)
  if type(meta) == "table" and rawget(meta, "__tostring") ~= nil then return (tostring_of(t):gsub("\n.*", " ...")) end
  if state.open[t] then return "{... itself}" end
  if state.depth >= DEPTH then return "{...}" end
  local sizes = numeric_shape(t)
  if sizes then return (grid(sizes, function(i) return element(t, i) end, "{", "}", state.width - indent)
    :gsub("\n", "\n" .. (" "):rep(indent))) end
  state.open[t], state.depth = true, state.depth + 1
  local lines, in_rows = lines_of(t, state, indent)
  state.open[t], state.depth = nil, state.depth - 1
  local flat = "{" .. table.concat(lines, ", ") .. "}"
  local fits = not in_rows and not flat:find("\n", 1, true) and not flat:find("%.%.%. %(")
  if fits and indent + (utf8.len(flat) or #flat) <= state.width then return flat end
  local margin = (" "):rep(indent + 2)
  return "{\n" .. margin .. table.concat(lines, ",\n" .. margin) .. "\n" .. (" "):rep(indent) .. "}"
end

local rules = { width = { default = WIDTH, integer = true, least = 20 } }

---@class lkrun.ShowOptions
---@field width? integer characters of a line, 80 by default

--- Text of a value for people. A tensor: dtype, shape and elements in aligned columns, of more than
--- 1,000 only three at either end of each dimension. A table: a constructor with its keys in order;
--- rectangular numbers and records of the same keys in aligned columns; the middle of long ones left
--- out. A string by itself is given as it is, inside a table quoted. Functions with where they are
--- defined. All else as `tostring` says. No metamethod of the value is called but `__tostring`.
--- Raises for a width that is no integer of 20 or more, and an unknown option.
---@param value any
---@param options? lkrun.ShowOptions
---@return string
local function show(value, options)
  local width = WIDTH
  if options ~= nil then width = require("lkrun.internal.options").check("lk.show", rules, options).width end
  if core.is(value) then return show_tensor(value, width) end
  if type(value) == "function" then return function_text(value) end
  if type(value) ~= "table" then return tostring_of(value) end
  local meta = debug.getmetatable(value)
  if type(meta) == "table" and rawget(meta, "__tostring") ~= nil then return tostring_of(value) end
  local state = { open = {}, depth = 0, width = width }
  state.brief = function(part) return inner(part, state, 0) end
  return show_table(value, state, 0)
end

return show
