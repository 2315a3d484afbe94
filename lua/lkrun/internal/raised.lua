--- Texts for uncaught errors of which Lua itself says little: a table that was raised, and a misspelt field
--- or method. The host calls this from its message handler, so nothing here may call the program's code,
--- except a __tostring.
local TEXT <const> = 300 -- characters of a table's text, at most

-- The text cut to TEXT characters, or bytes where it is not UTF-8.
local function cut(text)
  local characters = utf8.len(text) or #text
  if characters <= TEXT then return text end
  local last = utf8.len(text) and utf8.offset(text, TEXT + 1) - 1 or TEXT
  return text:sub(1, last) .. " ..."
end

--- The text of a table that was raised: its `message`, or its fields on one line.
---@param value table without a __tostring
---@return string
local function text_of(value)
  local message = rawget(value, "message")
  if type(message) == "string" then return message end
  local shown = require "lkrun.show"(value, { width = math.maxinteger })
  return "error object " .. cut((shown:gsub("{\n%s*", "{"):gsub("\n%s*}", "}"):gsub("\n%s*", " ")))
end

-- The modules of lkrun and lkrec that are loaded, as keys.
local function modules()
  local set = {}
  for name, module in next, package.loaded do
    if type(name) == "string" and type(module) == "table" and (name:find "^lkrun" or name:find "^lkrec") then
      set[module] = true
    end
  end
  return set
end

local function is_object(value)
  local meta = debug.getmetatable(value)
  local name = type(meta) == "table" and rawget(meta, "__name")
  return type(name) == "string" and name:find "^lkrun%." ~= nil
end

-- The name that was probably meant by this field, "lk.invoker", where the variable holds one of `ours` or
-- an object of lkrun that lacks the field. The modules inside a module are tried as well; `ours` loses each
-- that was tried, so that none is tried twice. Nil where nothing is near.
local function meant_of(variable, value, field, ours)
  local is_module = ours[value]
  if not is_module and not is_object(value) then return nil end
  ours[value] = nil
  local names = {}
  require("lkrun.internal.fields").add(names, value, not is_module)
  local nearest = not names[field] and require "lkrun.core.nearest"(field, names)
  if nearest then return variable .. (is_module and "." or ":") .. nearest end
  for name, part in next, is_module and value or {} do
    local meant = type(name) == "string" and ours[part] and meant_of(variable .. "." .. name, part, field, ours)
    if meant then return meant end
  end
end

-- The variables that the failing function sees, { name, value }: its locals, the innermost first, then its
-- upvalues, then the globals.
local function variables()
  local level = 3 -- levels 1 and 2 are this function and its caller; C functions may follow
  while debug.getinfo(level, "S").what == "C" do level = level + 1 end
  local list, env = {}, {}
  local function add(name, value) list[#list + 1] = { name, value } end
  for i = 1, math.maxinteger do
    local name, value = debug.getlocal(level, i)
    if not name then break end
    if name:find "^[%a_]" then table.insert(list, 1, { name, value }) end
  end
  local func = debug.getinfo(level, "f").func
  for i = 1, math.maxinteger do
    local name, value = debug.getupvalue(func, i)
    if not name then break end
    if name == "_ENV" then env = value else add(name, value) end
  end
  for name, value in next, type(env) == "table" and env or {} do
    if type(name) == "string" then add(name, value) end
  end
  return list
end

--- Adds to "attempt to call a nil value (field 'invokr')" the name that was probably meant, where a variable
--- of the failing function is a module or an object of lkrun with a field of a similar name.
---@param message string
---@return string? # nil: there is nothing to add
local function with_meant(message)
  local how, field = message:match "a nil value %((%a+) '([%a_][%w_]*)'%)$"
  if how ~= "field" and how ~= "method" then return nil end
  local ours = modules()
  for _, variable in ipairs(variables()) do
    local meant = meant_of(variable[1], variable[2], field, ours)
    if meant then return ("%s; did you mean %s?"):format(message, meant) end
  end
end

return { text_of = text_of, with_meant = with_meant }
