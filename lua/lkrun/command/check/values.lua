--- Follows the modules, functions and objects of lkrun through a program that is checked: what their fields
--- are and what their calls return, and which names in these are not lkrun's.
local question = require("lkrun.internal.refusals").question

local values = {}

--- What is known of a value in the program; of most values nothing is known, and they are nil.
---@class lkrun.check.Value
---@field kind "module"|"function"|"object"|"require"|"os"|"getenv"
---@field path? string of a module and a function, as programs call it: "lk.tensor.zeros"
---@field content? table of a module: the module itself
---@field file? lkrun.File of a module: its annotations
---@field entry? lkrun.Entry of a function: its annotation
---@field class? string of an object: "lkrun.Invoker"
---@field through? table the variables it came through, a linked list { variable or name of a global, rest }

---@class lkrun.check.Finding
---@field line integer
---@field text string
---@field through? table as in the value that the finding is about
---@field module? table the module that lacks the field
---@field field? string

--- What is known of an argument of a call.
---@class lkrun.check.Argument
---@field literal? string the text, of a quoted string
---@field keys? { [1]: string, [2]: integer }[] the keys that are names, and their lines, of a table constructor

-- Loads when a program names something of lkrun for the first time: it reads all annotations.
local interface = setmetatable({}, {
  __index = function(self, name)
    self[name] = require("lkrun.command.check.interface")[name]
    return self[name]
  end,
})

local openers = { require = { kind = "require" }, os = { kind = "os" } }

--- A copy of a value that came through one more variable, or a global of this name.
---@param value lkrun.check.Value
---@param variable lkrun.check.Variable|string
---@return lkrun.check.Value
function values.through(value, variable)
  local copy = {}
  for key, part in pairs(value) do copy[key] = part end
  copy.through = { variable, value.through }
  return copy
end

--- The value of a global through which a program may get at something of lkrun.
---@param name string
---@return lkrun.check.Value?
function values.global(name) return openers[name] and values.through(openers[name], name) end

-- Notes that a new value depends on the variables that another one came through.
local function beside(value, other)
  if value then value.through = other.through end
  return value
end

--- The value of a field; where a module has no such field, nil and what to report.
---@param value lkrun.check.Value?
---@param name string
---@param line integer
---@return lkrun.check.Value?
---@return lkrun.check.Finding?
function values.field(value, name, line)
  local kind = value and value.kind
  if kind == "os" and name == "getenv" then return beside({ kind = "getenv" }, value) end
  if kind ~= "module" then return nil end
  local names = interface.fields(value)
  if names[name] then return beside(interface.field(value, name), value) end
  return nil, {
    line = line, through = value.through, module = value.content, field = name,
    text = ("unknown field '%s' of %s%s"):format(name, value.path, question(name, names)),
  }
end

local function check_options(callee, entry, path, arguments, find)
  for position, argument in ipairs(arguments) do
    local known = argument.keys and #argument.keys > 0 and interface.options(entry, position)
    for _, key in ipairs(known and argument.keys or {}) do
      local name, line = key[1], key[2]
      if not known[name] then
        find {
          line = line, through = callee.through,
          text = ("unknown option '%s' of %s%s"):format(name, path, question(name, known)),
        }
      end
    end
  end
end

-- The module that `require` returns. A missing one is reported only where its name is near that of a public
-- module: a program may have modules of its own whose names begin with lkrun.
local function required(callee, name, line, find)
  if not name:find "^lkr" then return nil end
  local module = interface.module(name)
  if module then return beside(module, callee) end
  local meant = question(name, interface.module_names())
  if meant ~= "" and not package.preload[name] and not package.searchpath(name, package.path) then
    find { line = line, through = callee.through, text = ("unknown module '%s'%s"):format(name, meant) }
  end
end

-- Reports a variable whose name is near that of one of lkrun's: a program may have variables LK_… of its own.
local function check_variable(callee, name, line, find)
  local known = require "lkrun.internal.variables"
  local meant = name:find "^LK_" and not known[name] and question(name, known) or ""
  if meant ~= "" then
    find { line = line, through = callee.through, text = ("unknown variable '%s'%s"):format(name, meant) }
  end
end

--- What a call of this value returns.
---@param callee lkrun.check.Value?
---@param arguments lkrun.check.Argument[]
---@param line integer
---@param find fun(finding: lkrun.check.Finding) is called with what to report
---@return lkrun.check.Value?
function values.call(callee, arguments, line, find)
  local kind = callee and callee.kind
  local literal = arguments[1] and arguments[1].literal
  if kind == "function" then
    check_options(callee, callee.entry, callee.path, arguments, find)
    return beside(interface.result(callee.entry), callee)
  elseif kind == "require" and literal then
    return required(callee, literal, line, find)
  elseif kind == "getenv" and literal then
    check_variable(callee, literal, line, find)
  end
end

--- What a call of a method of this value returns.
---@param object lkrun.check.Value?
---@param name string
---@param arguments lkrun.check.Argument[]
---@param line integer
---@param find fun(finding: lkrun.check.Finding) is called with what to report
---@return lkrun.check.Value?
function values.method(object, name, arguments, line, find)
  if not object or object.kind ~= "object" then return nil end
  local methods = interface.methods(object.class)
  local entry = methods[name]
  if entry then
    check_options(object, entry, object.class .. ":" .. name, arguments, find)
    return beside(interface.result(entry), object)
  end
  find {
    line = line, through = object.through,
    text = ("unknown method '%s' of %s%s"):format(name, object.class, question(name, methods)),
  }
end

return values
