--- What lkrun and lkrec offer to programs, for `lkrun check`: the fields of modules are those that the modules
--- have, methods of objects and options of functions those of the annotations. Where an annotation leaves
--- room for doubt, the answer is nil, and nothing is reported.
local lk = require "lkrun"
local annotations = require "lkrun.prompt.annotations"
local embedded = require("lkrun.core.module_text").modules()

local interface = {}

local lazy = require("lkrun.internal.fields").names_of(lk) -- modules by name, and the modules of other fields

local function module_value(name, path, content)
  if type(content) ~= "table" then return nil end
  return { kind = "module", path = path, content = content, file = annotations.module(name) }
end

--- The module that `require` returns for a name; nil where it is not a public module of lkrun or lkrec.
---@param name string "lkrec.als.implicit"
---@return lkrun.check.Value?
function interface.module(name)
  if name == "lkrun" then return module_value(name, "lk", lk) end
  local short = name:match "^lkrun%.(%w+)$"
  local is_public = short and lazy[1][short] or name:find "^lkrec%."
  if not is_public or not embedded[name] then return nil end
  local loaded, content = pcall(require, name)
  return loaded and module_value(name, short and "lk." .. short or name, content) or nil
end

--- The names of all public modules, as keys.
---@return table<string, any>
function interface.module_names()
  local names = { lkrun = true }
  for short in pairs(lazy[1]) do names["lkrun." .. short] = true end
  for name in pairs(embedded) do
    if name:find "^lkrec%." then names[name] = true end
  end
  return names
end

--- The fields of a module, as keys.
---@param module lkrun.check.Value
---@return table<string, any>
function interface.fields(module)
  local names = {}
  for name in next, module.content do names[name] = true end
  for _, list in ipairs(module.content == lk and lazy or {}) do
    for name in next, list do names[name] = true end
  end
  return names
end

local function function_entry(file, name)
  for _, entry in ipairs(file and file.entries or {}) do
    if entry.name == name and not entry.class then return entry end
  end
end

--- The value of a module's field; nil where nothing is known of it.
---@param module lkrun.check.Value
---@param name string
---@return lkrun.check.Value?
function interface.field(module, name)
  local path, content = module.path .. "." .. name, module.content[name]
  local file = module.file
  if module.content == lk then
    local home = lazy[1][name] or lazy[2][name]
    file = home and annotations.module(home)
    if type(content) == "table" and home then return module_value(home, path, content) end
  end
  local entry = type(content) == "function" and function_entry(file, name)
  return entry and { kind = "function", path = path, entry = entry } or nil
end

-- --- types, as annotations write them ---

-- Whether objects of a class with these fields have methods; such an object is never a table constructor.
local function has_methods(fields)
  for _, entry in ipairs(fields or {}) do
    if entry.method then return true end
  end
  return false
end

-- Adds the names of the fields of a class, and of the class that it extends. False where not all fields have
-- a name: some are [integer].
local function add_fields(names, class)
  local fields = annotations.class(class)
  if not fields or fields.parent and not add_fields(names, fields.parent) then return false end
  for _, entry in ipairs(fields) do
    if not entry.name:find "^[%a_][%w_]*$" then return false end
    names[entry.name] = true
  end
  return true
end

local no_table = { string = true, ["nil"] = true, number = true, integer = true, boolean = true }

-- The names of the fields that a table of this type may have, as keys; nil where the type does not tell.
local function names_of_type(text)
  local names, is_table = {}, false
  for _, alternative in ipairs(annotations.split(text, "|")) do
    local part = alternative:match "^%s*(.-)%s*$"
    local inside = part:match "^{(.*)}$"
    local class = part:match "^lk[%w_.]+$"
    if inside and not inside:find "^%s*%[" then
      is_table = true
      for name in ("," .. inside):gmatch "[,;]%s*([%a_][%w_]*)%??%s*:" do names[name] = true end
    elseif class and not has_methods(annotations.class(class)) then
      is_table = true
      if not add_fields(names, class) then return nil end
    elseif not class and not no_table[part] and not part:find '^"' then
      return nil
    end
  end
  return is_table and names or nil
end

--- The options that a table as this argument may have, as keys; nil where that is not known.
---@param entry lkrun.Entry of the function or method
---@param position integer of the argument, from 1; the object of a method call does not count
---@return table<string, any>?
function interface.options(entry, position)
  local param = entry.params[position]
  return param and names_of_type(param.type) or nil
end

--- What a call of this function or method returns, where that is an object with methods; otherwise nil.
---@param entry lkrun.Entry
---@return lkrun.check.Value?
function interface.result(entry)
  local class = (entry.returns[1] or ""):match "^(lk[%w_.]+)%f[%s\0]"
  if class and has_methods(annotations.class(class)) then return { kind = "object", class = class } end
end

--- The methods of a class, by name.
---@param class string
---@return table<string, lkrun.Entry>
function interface.methods(class)
  local methods = {}
  local fields, file = annotations.class(class)
  for _, entry in ipairs(fields) do methods[entry.name] = entry end
  for _, entry in ipairs(file.entries) do -- methods that are written in Lua
    if entry.class == class:match "[^.]*$" then methods[entry.name] = entry end
  end
  return methods
end

return interface
