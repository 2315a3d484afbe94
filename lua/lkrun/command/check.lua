--- lkrun check: syntax errors, and globals that are read but nobody defines, without running anything.
--- Lua's own compiler judges the syntax. What passed it is walked here once, keeping the names in
--- scope; so the walk below may take the text to be right.

local keywords = {}
for word in ([[and break do else elseif end false for function goto if in local nil not or repeat
  return then true until while]]):gmatch "%a+" do
  keywords[word] = true
end

-- Two- and three-character operators whose first characters are operators too.
local long_operators = { "...", "..", "==", "~=", "<=", ">=", "//", "::", "<<", ">>" }

--- The tokens of a text, three arrays: kinds ("name", "literal", else the keyword or operator itself),
--- names, and lines.
local function tokens_of(text)
  local kinds, names, lines = {}, {}, {}
  local at, line = 1, 1

  local function add(kind, last, name)
    kinds[#kinds + 1], names[#kinds + 1], lines[#kinds + 1] = kind, name or false, line
    local _, breaks = text:sub(at, last):gsub("\n", "")
    line, at = line + breaks, last + 1
  end
  local function skip(last)
    local _, breaks = text:sub(at, last):gsub("\n", "")
    line, at = line + breaks, last + 1
  end
  -- Where a long bracket that opens at `from` ends, or nil.
  local function long_end(from)
    local equals = text:match("^%[(=*)%[", from)
    if equals then return select(2, text:find("]" .. equals .. "]", from + #equals + 2, true)) end
  end
  local function short_end(quote)
    local from = at + 1
    while true do
      local found = text:find("[\\" .. quote .. "]", from)
      if text:sub(found, found) == quote then return found end
      from = found + 2
    end
  end

  while true do
    skip(select(2, text:find("^%s*", at)))
    local character = text:sub(at, at)
    if character == "" then break end
    local word = text:match("^[%a_][%w_]*", at)
    if word then
      local is_keyword = keywords[word]
      add(is_keyword and word or "name", at + #word - 1, not is_keyword and word)
    elseif text:find("^%-%-", at) then
      skip(long_end(at + 2) or (text:find("\n", at, true) or #text + 1) - 1)
    elseif text:find("^%.?%d", at) then
      -- A sign belongs to a number only after its exponent letter.
      local hexadecimal = text:find("^0[xX]", at)
      local last = at
      while true do
        local signed = text:match(hexadecimal and "^[pP][+-]?" or "^[eE][+-]?", last)
        if signed and last > at then last = last + #signed
        elseif text:find("^[%w_.]", last) then last = last + 1
        else break end
      end
      add("literal", last - 1)
    elseif character == '"' or character == "'" then
      add("literal", short_end(character))
    elseif long_end(at) then
      add("literal", long_end(at))
    else
      local operator = character
      for _, long in ipairs(long_operators) do
        if text:sub(at, at + #long - 1) == long then operator = long break end
      end
      add(operator, at + #operator - 1)
    end
  end
  return kinds, names, lines
end

local ends_block = { ["end"] = true, ["else"] = true, ["elseif"] = true, ["until"] = true }
local unary = { ["-"] = true, ["not"] = true, ["#"] = true, ["~"] = true }
local binary = {}
for operator in ("+ - * / // % ^ & | ~ << >> .. == ~= < <= > >= and or"):gmatch "%S+" do
  binary[operator] = true
end

--- The globals that a text reads ({ name =, line = }, in order) and those it assigns (a set).
local function globals_of(text)
  local kinds, names, lines = tokens_of(text)
  local at = 1
  local scope = {} -- names in scope; an inner scope finds the outer one's by __index
  local read, assigned = {}, {}
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
    return names[at - 1]
  end
  local function is_global(name) return not scope[name] and not scope._ENV end

  local function expressions()
    repeat expression() until not accept ","
  end

  local function table_constructor()
    at = at + 1
    while not accept "}" do
      if accept "[" then
        expression()
        at = at + 2 -- ] =
      elseif kinds[at] == "name" and kinds[at + 1] == "=" then
        at = at + 2
      end
      expression()
      if not accept "," then accept ";" end
    end
  end

  -- Nil, or the name of the global that this expression is, which its caller reads or assigns.
  local function suffixed()
    local global, line = nil, lines[at]
    if accept "(" then
      expression()
      at = at + 1
    else
      local name = take_name()
      if is_global(name) then global = name end
    end
    local function read_base()
      if global then read[#read + 1] = { name = global, line = line } end
      global = nil
    end
    while true do
      local kind = kinds[at]
      if kind == "." then
        local environment = global == "_G" or global == "_ENV"
        read_base()
        at = at + 1
        local field = take_name()
        -- _G.x = … defines x; reading _G.x is a question, not a mistake
        if environment and (kinds[at] == "=" or kinds[at] == ",") then assigned[field] = true end
      elseif kind == "[" then
        read_base()
        at = at + 1
        expression()
        at = at + 1
      elseif kind == ":" then
        read_base()
        at = at + 2
      elseif kind == "(" then
        read_base()
        at = at + 1
        if not accept ")" then
          expressions()
          at = at + 1
        end
      elseif kind == "{" then
        read_base()
        table_constructor()
      elseif kind == "literal" then
        read_base()
        at = at + 1
      else
        return global, line
      end
    end
  end

  function expression()
    repeat
      while unary[kinds[at]] do at = at + 1 end
      local kind = kinds[at]
      if kind == "{" then
        table_constructor()
      elseif kind == "function" then
        at = at + 1
        body(false)
      elseif kind == "name" or kind == "(" then
        local global, line = suffixed()
        if global then read[#read + 1] = { name = global, line = line } end
      else
        at = at + 1 -- a literal, nil, true, false or ...
      end
      local more = binary[kinds[at]]
      if more then at = at + 1 end
    until not more
  end

  function body(has_self)
    open_scope()
    scope.self = has_self or nil
    at = at + 1 -- (
    while not accept ")" do
      if kinds[at] == "name" then scope[names[at]] = true end
      at = at + 1
    end
    block()
    at = at + 1 -- end
    close_scope()
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
    expressions()
    at = at + 1 -- do
    open_scope()
    for _, name in ipairs(variables) do scope[name] = true end
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
    local is_field, has_self = false, false
    while kinds[at] == "." or kinds[at] == ":" do
      is_field, has_self = true, kinds[at] == ":"
      at = at + 2
    end
    if is_global(name) then
      if is_field then read[#read + 1] = { name = name, line = line } else assigned[name] = true end
    end
    body(has_self)
  end
  statements["local"] = function()
    if accept "function" then
      scope[take_name()] = true
      return body(false)
    end
    local variables = {}
    repeat
      variables[#variables + 1] = take_name()
      if accept "<" then at = at + 2 end
    until not accept ","
    if accept "=" then expressions() end
    for _, name in ipairs(variables) do scope[name] = true end
  end
  statements["return"] = function()
    if kinds[at] and not ends_block[kinds[at]] and kinds[at] ~= ";" then expressions() end
  end
  statements["goto"] = function() at = at + 1 end
  statements["::"] = function() at = at + 2 end
  statements["break"] = function() end
  statements[";"] = function() end

  local function assignment_or_call()
    local targets = {}
    repeat
      local global, line = suffixed()
      targets[#targets + 1] = global and { name = global, line = line }
    until not accept ","
    for _, target in ipairs(targets) do assigned[target.name] = true end
    if accept "=" then expressions() end
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
  return read, assigned
end

local function tell(...)
  io.stderr:write(...)
  io.stderr:write "\n"
end

--- Nil and a message where it cannot be read.
local function text_of(path)
  local file <close>, message = io.open(path, "rb")
  if not file then return nil, message end
  local text, why = file:read "a"
  if not text then return nil, path .. ": " .. why end
  -- What loadfile passes over: a byte order mark, and a first line that begins with #.
  return (text:gsub("^\u{FEFF}", ""):gsub("^#[^\n]*", ""))
end

--- What is wrong in a text: messages, each with the path and line.
---@param text string
---@param path string
---@return string[]
local function problems_of(text, path)
  local compiled, message = load(text, "=?", "t")
  if not compiled then return { path .. message:sub(2) } end
  local problems, seen = {}, {}
  local read, assigned = globals_of(text)
  for _, global in ipairs(read) do
    local problem = ("%s:%d: unknown global '%s'"):format(path, global.line, global.name)
    if global.name == "lk" then problem = problem .. '; local lk = require "lkrun" defines it' end
    if _G[global.name] == nil and not assigned[global.name] and global.name ~= "_ENV" and not seen[problem] then
      seen[problem] = true
      problems[#problems + 1] = problem
    end
  end
  return problems
end

--- Tells on standard error what is wrong in these files; gives the exit status.
---@param paths string[]
---@return integer # 0: nothing, 1: something, 2: a file could not be read
local function run(paths)
  local status = 0
  for _, path in ipairs(paths) do
    local text, message = text_of(path)
    local problems = text and problems_of(text, path) or {}
    if not text then
      status = 2
      tell("lkrun: ", message, "; expected the path of a Lua file")
    end
    for _, problem in ipairs(problems) do tell(problem) end
    if #problems > 0 then status = math.max(status, 1) end
  end
  return status
end

return {
  summary = "Reports syntax errors and unknown globals, runs nothing.",
  define = function(parser) parser:argument("file", "Lua files."):args "+":target "files" end,
  run = function(options) return run(options.files) end,
  epilog = "Examples:\n  lkrun check model.lua\n  lkrun check *.lua && lkrun main.lua",
}
