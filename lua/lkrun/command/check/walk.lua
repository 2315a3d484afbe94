--- Parses a text once, keeping the names in scope. Finds the globals that are read and those that are assigned,
--- and reports fields, methods, options, modules and variables of the environment that lkrun does not have.
--- The text must compile: the parser relies on that.
---
--- Values of lkrun are followed through locals that are assigned once. A finding depends on the locals, and the
--- globals such as `require`, that its value came through: it is dropped at the end if the program assigns one
--- of them again, anywhere. It is also dropped if the program adds the field to the module, asks whether the
--- module has it, or passes the module itself to anything that might add fields.
local tokens_of = require "lkrun.command.check.tokens"
local values = require "lkrun.command.check.values"

---@class lkrun.check.Variable
---@field value? lkrun.check.Value what the local was initialized with
---@field reassigned? boolean

local ends_block = { ["end"] = true, ["else"] = true, ["elseif"] = true, ["until"] = true }
local unary = { ["-"] = true, ["not"] = true, ["#"] = true, ["~"] = true }
-- The tokens after a field by which the program asks whether the field is there: `if lk.x then`, `lk.x or y`.
local asks = { ["and"] = true, ["or"] = true, ["=="] = true, ["~="] = true, ["then"] = true, ["do"] = true }
local binary = {}
for operator in ("+ - * / // % ^ & | ~ << >> .. == ~= < <= > >= and or"):gmatch "%S+" do
  binary[operator] = true
end

local ALL <const> = {} -- in place of a field's name: the program may add any field

---@param text string
---@return { name: string, line: integer }[] read globals, in order
---@return table<string, boolean> assigned globals, as keys
---@return lkrun.check.Finding[] findings
return function(text)
  local kinds, texts, lines = tokens_of(text)
  local at = 1
  local scope = {} -- names in scope, each with its variable; an inner scope finds the outer one's by __index
  local read, assigned, findings = {}, {}, {}
  local added = {} -- module → the fields that the program adds or asks for, as keys
  local block, expression, body

  local function open_scope() scope = setmetatable({}, { __index = scope, outer = scope }) end
  local function close_scope() scope = getmetatable(scope).outer end
  local function scoped_block()
    open_scope()
    block()
    close_scope()
  end

  local function accept(kind)
    if kinds[at] ~= kind then return false end
    at = at + 1
    return true
  end
  local function take_name()
    at = at + 1
    return texts[at - 1]
  end
  local function is_global(name) return not scope[name] and not scope._ENV end

  local function find(finding) findings[#findings + 1] = finding end
  local function add_field(module, name)
    added[module] = added[module] or {}
    added[module][name] = true
  end
  -- Called when a value goes where it is not followed. If it is a module, fields may be added to it there.
  local function let_go(value)
    if value and value.kind == "module" then add_field(value.content, ALL) end
  end

  -- Returns what is known of each value, false where that is nothing.
  local function expressions()
    local list = {}
    repeat list[#list + 1] = expression() or false until not accept ","
    return list
  end

  -- Returns the keys that are names, each as { name, line }.
  local function table_constructor()
    local keys = {}
    at = at + 1
    while not accept "}" do
      if accept "[" then
        let_go(expression())
        at = at + 2 -- ] =
      elseif kinds[at] == "name" and kinds[at + 1] == "=" then
        keys[#keys + 1] = { texts[at], lines[at] }
        at = at + 2
      end
      let_go(expression())
      if not accept "," then accept ";" end
    end
    return keys
  end

  -- Of a call: returns lkrun.check.Argument for each.
  local function arguments()
    local kind = kinds[at]
    if kind == "literal" then
      at = at + 1
      return { { literal = texts[at - 1] } }
    elseif kind == "{" then
      return { { keys = table_constructor() } }
    end
    local list = {}
    at = at + 1 -- (
    while not accept ")" do
      local value, literal, keys = expression()
      let_go(value)
      list[#list + 1] = { literal = literal, keys = keys }
      accept ","
    end
    return list
  end

  -- A name or an expression in parentheses, with the fields, indices and calls behind it. Returns `value`, what
  -- is known of it, and for the caller, which may assign it: `global`, its name, with `line`; or `variable`, of a
  -- local; or `module` and `field`, with `lacking`, the finding to report unless the field is assigned.
  local function suffixed()
    local global, variable, value, lacking, module, field
    local line = lines[at]
    if accept "(" then
      value = expression()
      at = at + 1
    else
      local name = take_name()
      if is_global(name) then
        global = name
        value = values.global(name)
      else
        variable = scope[name]
        value = variable and variable.value and values.through(variable.value, variable)
      end
    end
    local function read_base()
      if global then read[#read + 1] = { name = global, line = line } end
      if lacking then find(lacking) end
      global, variable, lacking, module, field = nil, nil, nil, nil, nil
    end
    while true do
      local kind, here = kinds[at], lines[at]
      if kind == "." then
        local environment = global == "_G" or global == "_ENV"
        read_base()
        at = at + 1
        here, field = lines[at], take_name()
        module = value and value.kind == "module" and value.content or nil
        value, lacking = values.field(value, field, here)
        -- _G.x = … defines x; reading _G.x is a question, not a mistake
        if environment and (kinds[at] == "=" or kinds[at] == ",") then assigned[field] = true end
      elseif kind == "[" then
        read_base()
        at = at + 1
        let_go(expression())
        at = at + 1
        module, field = value and value.kind == "module" and value.content or nil, ALL
        value = nil
      elseif kind == ":" then
        read_base()
        at = at + 1
        local name_line, name = lines[at], take_name()
        let_go(value)
        value = values.method(value, name, arguments(), name_line, find)
      elseif kind == "(" or kind == "{" or kind == "literal" then
        read_base()
        value = values.call(value, arguments(), here, find)
      else
        return {
          global = global, line = line, variable = variable, value = value, lacking = lacking, module = module,
          field = field,
        }
      end
    end
  end

  -- Returns what is known of an expression of one operand: its value, the text of a quoted string, and the keys
  -- of a table constructor. Of an expression with operators nothing is known.
  function expression()
    local value, literal, keys
    local operands, asked = 0, false
    repeat
      while unary[kinds[at]] do
        asked = asked or kinds[at] == "not"
        operands, at = 2, at + 1 -- counts as more than one: nothing is known of the result of an operator
      end
      operands = operands + 1
      local kind = kinds[at]
      if kind == "{" then
        keys = table_constructor()
      elseif kind == "function" then
        at = at + 1
        body(false)
      elseif kind == "name" or kind == "(" then
        local found = suffixed()
        if found.global then read[#read + 1] = { name = found.global, line = found.line } end
        if found.lacking then
          if asked or asks[kinds[at]] then add_field(found.module, found.field) else find(found.lacking) end
        end
        value = found.value
      else
        literal = texts[at] or nil
        at = at + 1 -- a literal, nil, true, false or ...
      end
      local more = binary[kinds[at]]
      if more then
        asked = kinds[at] == "and" or kinds[at] == "or"
        at = at + 1
      end
      if more or operands > 1 then
        let_go(value)
        value, literal, keys = nil, nil, nil
      end
    until not more
    return value, literal, keys
  end

  function body(has_self)
    open_scope()
    scope.self = has_self and {} or nil
    at = at + 1 -- (
    while not accept ")" do
      if kinds[at] == "name" then scope[texts[at]] = {} end
      at = at + 1
    end
    block()
    at = at + 1 -- end
    close_scope()
  end

  local function let_all_go(list)
    for _, value in ipairs(list) do let_go(value) end
  end

  local statements = {}

  statements["if"] = function()
    repeat
      expression()
      at = at + 1 -- then
      scoped_block()
    until not accept "elseif"
    if accept "else" then scoped_block() end
    at = at + 1
  end
  statements["while"] = function()
    expression()
    at = at + 1
    scoped_block()
    at = at + 1
  end
  statements["do"] = function()
    scoped_block()
    at = at + 1
  end
  statements["for"] = function()
    local variables = {}
    repeat variables[#variables + 1] = take_name() until not accept ","
    at = at + 1 -- = or in
    let_all_go(expressions())
    at = at + 1 -- do
    open_scope()
    for _, name in ipairs(variables) do scope[name] = {} end
    block()
    close_scope()
    at = at + 1
  end
  statements["repeat"] = function()
    open_scope()
    block()
    at = at + 1 -- until; its condition sees the locals of the block
    expression()
    close_scope()
  end
  statements["function"] = function()
    local line, name = lines[at], take_name()
    local variable = scope[name]
    local value = variable and variable.value
    local field, has_self = nil, false
    while kinds[at] == "." or kinds[at] == ":" do
      if field then value = values.field(value, field) end
      has_self = kinds[at] == ":"
      field, at = texts[at + 1], at + 2
    end
    if field and value and value.kind == "module" then add_field(value.content, field) end
    if is_global(name) then
      if field then read[#read + 1] = { name = name, line = line } else assigned[name] = true end
    elseif variable and not field then
      variable.reassigned = true
    end
    body(has_self)
  end
  statements["local"] = function()
    if accept "function" then
      scope[take_name()] = {}
      return body(false)
    end
    local variables = {}
    repeat
      variables[#variables + 1] = take_name()
      if accept "<" then at = at + 2 end
    until not accept ","
    local list = accept "=" and expressions() or {}
    for i, name in ipairs(variables) do scope[name] = { value = list[i] or nil } end
  end
  statements["return"] = function()
    if kinds[at] and not ends_block[kinds[at]] and kinds[at] ~= ";" then let_all_go(expressions()) end
  end
  statements["goto"] = function() at = at + 1 end
  statements["::"] = function() at = at + 2 end
  statements["break"] = function() end
  statements[";"] = function() end

  local function assignment_or_call()
    repeat
      local target = suffixed()
      if target.global then assigned[target.global] = true end
      if target.variable then target.variable.reassigned = true end
      if target.module and target.field then add_field(target.module, target.field) end
    until not accept ","
    if accept "=" then let_all_go(expressions()) end
  end

  function block()
    while kinds[at] and not ends_block[kinds[at]] do
      local statement = statements[kinds[at]]
      if statement then
        at = at + 1
        statement()
      else
        assignment_or_call()
      end
    end
  end

  block()

  -- Whether the program assigns a global, or a local after its declaration.
  local function is_assigned(variable)
    if type(variable) == "string" then return assigned[variable] end
    return variable.reassigned
  end
  local function stands(finding)
    local fields = added[finding.module]
    if fields and (fields[ALL] or fields[finding.field]) then return false end
    local link = finding.through
    while link and not is_assigned(link[1]) do link = link[2] end
    return not link
  end
  local standing = {}
  for _, finding in ipairs(findings) do
    if stands(finding) then standing[#standing + 1] = finding end
  end
  return read, assigned, standing
end
