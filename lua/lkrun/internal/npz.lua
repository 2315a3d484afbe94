--- Models as the arrays of an `.npz` file.
local fail = require "lkrun.internal.fail"
local tensor = require "lkrun.tensor"
local value_text = require "lkrun.core.value_text"

local npz = {}

-- Whether a name will do as a path in the archive: UTF-8, relative, and without a step upwards.
local function can_be_name(name)
  return name ~= "" and not name:find "^[/\\]" and not ("/" .. name:gsub("\\", "/") .. "/"):find("/../", 1, true)
    and not name:find "\0" and utf8.len(name)
end

--- The arrays of a model, ordered by name.
---@param where string "lk.save: PATH", for errors
---@param model table<string, lkrun.Tensor>
---@return (string|lkrun.Tensor)[] arrays the first name, its tensor, the second name, …
function npz.encode(where, model)
  if type(model) ~= "table" then
    fail(where, "the model is %s; expected a table of tensors by name, or a sparse matrix", value_text.type(model))
  end
  local names = {}
  for name, value in pairs(model) do
    if not tensor.is(value) then
      fail(where, "model.%s is %s; .npz holds tensors alone, .lkz any table", tostring(name), value_text.type(value))
    elseif type(name) ~= "string" or not can_be_name(name) then
      fail(where, "model[%s] is not a name of an array; expected a relative path, without '..'", value_text.brief(name))
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
