--- Loads OP.lua, the operation of lkrun map.
local command = require "lkrun.command"
local value_text = require "lkrun.core.value_text"

local fail = command.fail

local operation = {}

---@class lkrun.Operation
---@field run fun(model: any, task: any): any
---@field setup (fun(model: any, args: any): any)?
---@field columns string[]?

local known = { run = "function", setup = "function", columns = "table" }

local function refuse_field(path, name)
  fail(2, "map: %s: the table that it returns has %s%s; there are run, setup and columns", path,
    type(name) == "string" and ("'%s'"):format(name) or "elements that are not fields",
    require("lkrun.internal.refusals").question(name, known))
end

local function check_columns(path, columns)
  local seen = {}
  for i = 1, #columns do
    local column = columns[i]
    if type(column) ~= "string" or seen[column] then
      fail(2, "map: %s: columns[%d] is %s; expected names that differ", path, i,
        seen[column] and ("'%s' again"):format(column) or value_text.brief(column))
    end
    seen[column] = true
  end
  if #columns == 0 then fail(2, "map: %s: columns is empty; expected names", path) end
end

--- Runs OP.lua and returns what it returned, made into a table. Errors that it raises pass through.
---@param path string
---@param args any its `...`
---@return lkrun.Operation
function operation.load(path, args)
  local file, why = io.open(path, "rb")
  if not file then fail(2, "map: %s; expected the path of an operation in Lua", why) end
  -- A folder can be opened, but not read.
  local readable, reason = file:read(0), select(2, file:read(0))
  file:close()
  if not readable and reason then fail(2, "map: %s: %s; expected a file of Lua", path, reason) end
  local chunk, message = loadfile(path, "t")
  if not chunk then fail(1, "map: %s", message) end
  local result = chunk(args)
  if type(result) == "function" or (getmetatable(result) or {}).__call then result = { run = result } end
  if result == nil then
    fail(2, "map: %s: it returns nothing; end it with `return f`, where f is its function(model, task), or with "
      .. "`return { run = f }`", path)
  end
  if type(result) ~= "table" then
    fail(2, "map: %s: it returns %s; expected function(model, task), or a table with such a `run`", path,
      value_text.type(result))
  end
  for name, value in pairs(result) do
    if not known[name] then refuse_field(path, name) end
    if type(value) ~= known[name] and not (name ~= "columns" and (getmetatable(value) or {}).__call) then
      fail(2, "map: %s: %s is %s; expected a %s", path, name, value_text.type(value), known[name])
    end
  end
  if not result.run then
    fail(2, "map: %s: it returns a table without `run`, which is its function(model, task)", path)
  end
  if result.columns then check_columns(path, result.columns) end
  return result
end

return operation
