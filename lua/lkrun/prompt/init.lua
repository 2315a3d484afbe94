--- The part of the prompt that is written in Lua: the globals that it offers, how results are printed, and
--- what completes a line. lkrun/program/repl.c reads the lines and runs them.
local lk = require "lkrun"
local embedded = require("lkrun.core.module_text").modules()

local prompt = {}

local plain_print = print -- the program may replace the global

-- A table whose fields are modules that load when they are first named: lkrec.als.implicit. Completion knows
-- the names of those inside the executable before they are loaded.
local function namespace(prefix)
  local names, known = {}, {}
  for module in pairs(embedded) do
    local first, rest = module:match("^" .. prefix .. "%.([%w_]+)(.*)$")
    if first and rest == "" then
      known[first] = module
    elseif first and not names[first] then
      names[first] = namespace(prefix .. "." .. first)
    end
  end
  for name in pairs(known) do names[name] = nil end
  return setmetatable(names, {
    __names = { known, {} }, -- as in lkrun/init.lua
    __index = function(self, name)
      local path = ("%s.%s"):format(prefix, name)
      local value
      if package.preload[path] or package.searchpath(path, package.path) then value = require(path) end
      rawset(self, name, value)
      return value
    end,
  })
end

-- Sets a global, unless the program has one of that name.
local function offer(name, make)
  if rawget(_G, name) == nil then rawset(_G, name, make()) end
end

rawset(_G, "lk", lk)
offer("lkrec", function() return namespace "lkrec" end)
offer("help", function()
  return function(...) return require("lkrun.prompt.help").print(...) end
end)

--- Prints the values of an expression, with tensors and tables written out, and assigns the first to `_`.
---@param columns integer of the terminal
---@param ... any
function prompt.print_results(columns, ...)
  local show = require "lkrun.show"
  local texts, separator = table.pack(...), "\t"
  if texts.n == 0 then return end
  local options = { width = math.max(columns, 20) }
  if texts[1] ~= nil then rawset(_G, "_", (...)) end
  for i = 1, texts.n do
    local value = texts[i]
    texts[i] = type(value) == "string" and value or show(value, options)
    if texts[i]:find("\n", 1, true) then separator = "\n" end
  end
  local write = rawget(_G, "print")
  if type(write) ~= "function" then write = plain_print end
  write(table.concat(texts, separator))
end

--- How to leave, for somebody who typed `exit` or `quit`, called or not; nil where the program has such a name.
---@param text string the statement
---@return string? hint
function prompt.leaving(text)
  local name = text:match "^%s*([eq][xu]it)%s*;?%s*$" or text:match "^%s*([eq][xu]it)%s*%(%s*%d*%s*%)%s*;?%s*$"
  if (name == "exit" or name == "quit") and rawget(_G, name) == nil then
    return "to leave: Ctrl-D on an empty line, or os.exit()"
  end
end

--- Completes the text before the cursor; see lkrun.prompt.complete.
---@param text string
---@param columns integer of the terminal
---@return string? insertion
---@return string? listing
function prompt.complete(text, columns) return require("lkrun.prompt.complete").complete(text, columns) end

return prompt
