--- Names for values that another Lua state has, too. A function that is carried to a worker in another Lua
--- state (threads, spawned processes) may refer to such values: they travel as their names.
---
--- A value has a name where the table of a loaded module leads to it in at most STEPS_MAX steps, each a
--- string key or the step to a metatable. Numeric keys do not count: a module that keeps a list of the
--- program's functions does not own them. Of the globals, only those of the standard library have names.
local STEPS_MAX <const> = 3

local standard = require "lkrun.internal.standard"
local base = {
  "assert", "collectgarbage", "dofile", "error", "getmetatable", "ipairs", "load", "loadfile", "next",
  "pairs", "pcall", "print", "rawequal", "rawget", "rawlen", "rawset", "require", "select",
  "setmetatable", "tonumber", "tostring", "type", "warn", "xpcall",
}

local nameable = { ["function"] = true, table = true, userdata = true }

-- A name is a list: the module, then the steps that lead from it, keys or false for a metatable. Returns the
-- name that is longer by this step.
local function below(name, step)
  local longer = table.move(name, 1, #name, 1, {})
  longer[#longer + 1] = step
  return longer
end

-- Names everything that these modules lead to, by the shortest way.
local function search(names, modules)
  local queue = {}
  local function add(object, name)
    if nameable[type(object)] and not names[object] then
      names[object] = name
      if #name <= STEPS_MAX then queue[#queue + 1] = object end
    end
  end
  for _, module in ipairs(modules) do add(package.loaded[module], { module }) end
  local at = 1
  while queue[at] do
    local object = queue[at]
    local name = names[object]
    local meta = debug.getmetatable(object)
    if meta then add(meta, below(name, false)) end
    if type(object) == "table" then
      for key, value in next, object do
        if type(key) == "string" and nameable[type(value)] then add(value, below(name, key)) end
      end
    end
    at = at + 1
  end
end

--- All values that have a name at this moment, with their names.
---@return table<any, (string|false)[]>
local function all()
  local names = {}
  -- These tables lead to everything, the program's own values included. So nothing is searched through them.
  local passed_over = { _G, package.loaded, package.preload }
  for _, object in ipairs(passed_over) do names[object] = { "" } end
  for _, key in ipairs(base) do
    -- Under such a name a function written in Lua is the program's own.
    local value = _G[key]
    if type(value) == "function" and debug.getinfo(value, "S").what == "C" then
      names[value] = { "_G", key }
    end
  end
  local ours, others = {}, {}
  for module in pairs(package.loaded) do
    local list = type(module) ~= "string" and {} or module:find "^lkrun" and ours or others
    list[#list + 1] = module
  end
  table.sort(ours)
  table.sort(others)
  search(names, standard)
  search(names, ours)
  search(names, others)
  for _, object in ipairs(passed_over) do names[object] = nil end
  return names
end

return { all = all }
