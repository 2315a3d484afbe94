--- The fields and methods of a value, found without calling any function of the program's, above all no
--- `__index`.
local fields = {}

fields.LEVELS = 20 -- of `__index` tables that are followed, at most

--- The table in which this metatable looks up the fields that a value itself does not have: its `__index`, or
--- for a class of lkrun the table of methods, which is an upvalue of its `__index` function.
---@param meta any
---@return table?
function fields.index_in(meta)
  if type(meta) ~= "table" then return nil end
  local index = rawget(meta, "__index")
  if type(index) == "table" then return index end
  local name = rawget(meta, "__name")
  if type(index) == "function" and type(name) == "string" and name:find "^lkrun%." then
    for i = 1, 4 do
      local _, methods = debug.getupvalue(index, i)
      if type(methods) == "table" then return methods end
    end
  end
end

--- The same for the metatable of a value.
---@param value any
---@return table?
function fields.index_of(value) return fields.index_in(debug.getmetatable(value)) end

--- For a table whose modules load when they are first named, such as lk: two tables, one from name to module,
--- and one from each other name to the module that has it as a field. Empty for all other values.
---@param value any
---@return table<string, string>[]
function fields.names_of(value)
  local meta = debug.getmetatable(value)
  local names = type(meta) == "table" and rawget(meta, "__names")
  return type(names) == "table" and names or {}
end

-- Whether something could be called, without trying it.
local function is_callable(value)
  if type(value) == "function" then return true end
  local meta = debug.getmetatable(value)
  return type(meta) == "table" and rawget(meta, "__call") ~= nil
end

--- Adds the names that can follow `value.` or, with `called`, `value:`.
---@param found table<string, boolean> the names are added as keys
---@param value any
---@param called boolean
function fields.add(found, value, called)
  local levels = 0
  while value ~= nil and levels < fields.LEVELS do
    if type(value) == "table" then
      for _, names in ipairs(called and {} or fields.names_of(value)) do
        for key in next, names do found[key] = true end
      end
      for key, part in next, value do
        if type(key) == "string" and key:find "^[%a_][%w_]*$" and (not called or is_callable(part)) then
          found[key] = true
        end
      end
    end
    value, levels = fields.index_of(value), levels + 1
  end
end

return fields
