--- The annotations (LuaCATS) of the modules inside the executable, read from the modules' text: `help` shows
--- them, `lkrun check` knows methods and options by them. A block is a run of comment lines; it belongs to the
--- function or the field below it, and each `@field` line in it is an entry of its own.
local source = require "lkrun.core.module_text"

local annotations = {}

---@class lkrun.Entry
---@field name string as it is called in its module: "mv"
---@field path string of the file
---@field line integer of its definition
---@field class? string the class that this is a field or method of
---@field type? string of a field or of an assigned value
---@field parameters? string[] the names of a function's parameters
---@field text string[] what the comment says
---@field method? boolean whether this is a field of type `fun(self, ...)`
---@field params { name: string, type: string, text: string }[]
---@field returns string[]

---@class lkrun.File
---@field path string
---@field head string[] the comment at the top
---@field entries lkrun.Entry[]
---@field classes table<string, lkrun.Entry[]> fields by class

-- Divides "TYPE text". A type ends at the first space that is outside of brackets, not after a colon, a comma
-- or a bar, and not before a bar.
local function split_type(text)
  local depth, at = 0, 1
  while at <= #text do
    local c = text:sub(at, at)
    if c:find "[({<[]" then
      depth = depth + 1
    elseif c:find "[)}>%]]" then
      depth = depth - 1
    elseif c == " " and depth == 0 and not text:sub(1, at - 1):find "[:,|]$" and text:sub(at + 1, at + 1) ~= "|" then
      return text:sub(1, at - 1), text:sub(at + 1)
    end
    at = at + 1
  end
  return text, ""
end

--- The parts of a type as annotations write it that are separated by this character, where that is outside of
--- brackets: by "," the items of a list, by "|" the alternatives.
---@param text string
---@param separator string
---@return string[]
function annotations.split(text, separator)
  local parts, depth, from = {}, 0, 1
  for at, c in text:gmatch("()([](){}<>[" .. separator .. "])") do
    if c ~= separator then
      depth = depth + (c:find "[({<[]" and 1 or -1)
    elseif depth == 0 then
      parts[#parts + 1] = text:sub(from, at - 1)
      from = at + 1
    end
  end
  parts[#parts + 1] = text:sub(from)
  return parts
end

-- Fills in parameters and results of an entry whose type is `fun(...)`, as the tags of a definition would;
-- `self` is no parameter.
local function read_function_type(entry)
  local inside, results = (entry.type or ""):match "^fun(%b())%s*(.*)$"
  if not inside or results:find "^[|?]" or #entry.params > 0 then return entry end
  entry.parameters = {}
  for _, part in ipairs(annotations.split(inside:sub(2, -2), ",")) do
    local name, kind = part:match "^%s*([%w_.]+%??):?%s*(.*)$"
    if name == "self" then
      entry.method = true
    elseif name then
      entry.parameters[#entry.parameters + 1] = name:gsub("%?$", "")
      entry.params[#entry.params + 1] = { name = name, type = kind, text = "" }
    end
  end
  for _, part in ipairs(results ~= "" and annotations.split(results:sub(2), ",") or {}) do
    entry.returns[#entry.returns + 1] = part:match "^%s*(.-)%s*$"
  end
  return entry
end

-- Reads a block of comment lines: its text, its tags, and the classes in it with their fields.
local function read_block(lines, path, first)
  local block = { text = {}, params = {}, returns = {}, classes = {} }
  local class, about = nil, {} -- the class whose fields are being read, and the lines above its next field
  local was_field, continued = false, nil -- `continued`: the @param whose text may go on in indented lines
  for i, line in ipairs(lines) do
    local tag, rest = line:match "^@(%a+)%s*(.*)$"
    if tag == "param" then
      local name, typed = rest:match "^(%S+)%s*(.*)$"
      local kind, text = split_type(typed)
      continued = { name = name, type = kind, text = text }
      table.insert(block.params, continued)
    elseif tag == "return" then
      table.insert(block.returns, (rest:gsub("%s+#%s", "  ")))
    elseif tag == "type" then
      block.type = rest
    elseif tag == "class" then
      class = rest:match "^[%w_.]+"
      block.classes[class] = { text = block.text, parent = rest:match "^[%w_.]+%s*:%s*([%w_.]+)" }
      about = {}
    elseif tag == "field" and class then
      local name, typed = rest:match "^(%S+)%s*(.*)$"
      local kind, text = split_type(typed)
      local entry_text = table.move(about, 1, #about, 1, {})
      if text ~= "" then entry_text[#entry_text + 1] = text end
      table.insert(block.classes[class], read_function_type {
        name = name:gsub("%?$", ""), optional = name:find "%?$" ~= nil, brief = text, path = path,
        line = first + i - 1, class = class, type = kind, text = entry_text, params = {}, returns = {},
      })
    elseif not tag and continued and line:find "^%s" then
      continued.text = continued.text .. " " .. line:match "^%s*(.-)$"
    elseif not tag then
      if was_field then about = {} end
      table.insert(class and about or block.text, line)
    end
    was_field = tag == "field"
    if tag ~= "param" and line:find "^%S" then continued = nil end
  end
  return block
end

-- The name and the parameters of what is defined on this line, the one below a block.
local function definition(line)
  local name, parameters = line:match "^local function ([%w_]+)%(([^)]*)%)"
  if not name then name, parameters = line:match "^function [%w_]+[.:]([%w_]+)%(([^)]*)%)" end
  if not name then name, parameters = line:match "^function ([%w_]+)%(([^)]*)%)" end
  if name then
    local list = {}
    for parameter in parameters:gmatch "[%w_.]+" do list[#list + 1] = parameter end
    return name, list
  end
  return line:match "^[%w_]+%.([%w_]+) = "
end

--- Reads all annotations of a Lua text.
---@param text string
---@param path string
---@return lkrun.File
function annotations.parse(text, path)
  local file = { path = path, head = {}, entries = {}, classes = {} }
  local block, first, number, headed = {}, 1, 0, false
  for line in (text .. "\n"):gmatch "(.-)\n" do
    number = number + 1
    local comment = line:match "^%-%-%-? ?(.*)$"
    if comment then
      if #block == 0 then first = number end
      block[#block + 1] = comment
    elseif #block > 0 then
      local read = read_block(block, path, first)
      local name, parameters = definition(line)
      if not headed and not name then file.head, headed = read.text, true end
      for class, fields in pairs(read.classes) do file.classes[class] = fields end
      if name then
        table.insert(file.entries, read_function_type {
          name = name, path = path, line = number, class = line:match "^function ([%w_]+):",
          type = read.type, parameters = parameters,
          text = read.text, params = read.params, returns = read.returns,
        })
      end
      block = {}
    end
  end
  return file
end

local files = {} -- what was read so far, by path

--- The annotations of an embedded module; nil where there is no such file.
---@param path string "lua/lkrun/log.lua"
---@return lkrun.File?
function annotations.file(path)
  local text = not files[path] and source.text(path)
  if text then files[path] = annotations.parse(text, path) end
  return files[path]
end

--- The annotations of the module of this name; nil where it is not inside the executable.
---@param name string "lkrun.log"
---@return lkrun.File?
function annotations.module(name)
  local path = source.modules()[name]
  return path and annotations.file(path)
end

--- The fields of a class, what is said about it in `text`, and the class that it extends in `parent`; nil
--- where no module has it.
---@param name string "lkrun.Options"
---@return lkrun.Entry[]?
function annotations.class(name)
  for _, path in pairs(source.modules()) do
    local file = annotations.file(path)
    if file.classes[name] then return file.classes[name], file end
  end
end

return annotations
