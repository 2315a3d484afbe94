--- What stands in an `.npz` file.
local sparse = require "lkrun.sparse"
local tensor = require "lkrun.tensor"

local npz = {}

local function fail(path, ...) error(("lkrun: lk.save: %s: %s"):format(path, string.format(...)), 0) end

local function kind_of(value)
  return tensor.is(value) and "tensor" or sparse.is(value) and "sparse matrix" or type(value)
end

-- A path that leads nowhere but down.
local function can_be_name(name)
  return name ~= "" and not name:find "^[/\\]" and not ("/" .. name:gsub("\\", "/") .. "/"):find("/../", 1, true)
    and not name:find "\0" and utf8.len(name)
end

--- The arrays of a model, ordered by name.
---@param path string for errors
---@param model table<string, lkrun.Tensor>
---@return (string|lkrun.Tensor)[] arrays name, tensor, name, tensor, …
function npz.encode(path, model)
  if type(model) ~= "table" then
    fail(path, "the model is a %s; expected a table of tensors by name, or a sparse matrix", kind_of(model))
  end
  local names = {}
  for name, value in pairs(model) do
    if not tensor.is(value) then
      fail(path, "model.%s is a %s; .npz holds tensors alone, .lkz any table", tostring(name), kind_of(value))
    elseif type(name) ~= "string" or not can_be_name(name) then
      fail(path, "model[%s] is no name of an array", tostring(name))
    end
    names[#names + 1] = name
  end
  table.sort(names)
  local arrays = {}
  for i, name in ipairs(names) do
    arrays[2 * i - 1], arrays[2 * i] = name, model[name]
  end
  return arrays
end

return npz
