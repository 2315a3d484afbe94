--- The header of a `.safetensors` file, as Hugging Face's own library writes it.
local json = require "lkrun.json"
local fail = require "lkrun.internal.fail"
local tensor = require "lkrun.tensor"
local value_text = require "lkrun.core.value_text"

local safetensors = {}

-- The format's name of each dtype, and its rank in the file: the widest come first, so that all are aligned.
local dtypes = {
  i64 = { "I64", 1 }, f64 = { "F64", 2 }, f32 = { "F32", 3 }, i32 = { "I32", 4 }, u8 = { "U8", 5 },
  bool = { "BOOL", 6 },
}
local bytes_of = { i64 = 8, f64 = 8, f32 = 4, i32 = 4, u8 = 1, bool = 1 }

local function quoted(where, text, what)
  local ok, json_text = pcall(json.encode, text)
  return ok and json_text or fail(where, "%s is not UTF-8; expected text", what)
end

local function metadata_entry(where, metadata)
  local entries = {}
  for key, value in pairs(metadata) do
    if type(key) ~= "string" or type(value) ~= "string" then
      fail(where, "metadata[%s] is %s; expected a table of strings by name", value_text.brief(key),
        value_text.brief(value))
    end
    entries[#entries + 1] = quoted(where, key, "a name in metadata") .. ":" .. quoted(where, value, "metadata." .. key)
  end
  table.sort(entries)
  return '"__metadata__":{' .. table.concat(entries, ",") .. "}"
end

local function sorted_names(where, model)
  local names = {}
  for name, value in pairs(model) do
    if type(name) ~= "string" or name == "__metadata__" then
      fail(where, "model[%s] is not a name of a tensor; expected another string, or .lkz, which holds any table",
        value_text.brief(name))
    elseif not tensor.is(value) then
      fail(where, "model.%s is %s; .safetensors holds tensors alone, .lkz any table", name, value_text.type(value))
    elseif name:find "\0" then
      fail(where, "a name has a NUL byte in it; expected a name without")
    end
    names[#names + 1] = name
  end
  table.sort(names, function(a, b)
    local rank, other = dtypes[model[a].dtype][2], dtypes[model[b].dtype][2]
    return rank < other or rank == other and a < b
  end)
  return names
end

--- The header for a model, and the model's tensors in the order in which the header lists them.
---@param where string "lk.save: PATH", for errors
---@param model table<string, lkrun.Tensor>
---@param metadata? table<string, string>
---@return string header
---@return lkrun.Tensor[] tensors
function safetensors.encode(where, model, metadata)
  if type(model) ~= "table" then
    fail(where, "the model is %s; expected a table of tensors by name", value_text.type(model))
  end
  local entries, tensors, at = {}, {}, 0
  if metadata then entries[1] = metadata_entry(where, metadata) end
  for i, name in ipairs(sorted_names(where, model)) do
    local t = model[name]
    local bytes = t:numel() * bytes_of[t.dtype]
    entries[#entries + 1] = ('%s:{"dtype":"%s","shape":[%s],"data_offsets":[%d,%d]}'):format(
      quoted(where, name, "a name"), dtypes[t.dtype][1], table.concat(t:size(), ","), at, at + bytes)
    at = at + bytes
    tensors[i] = t
  end
  local header = "{" .. table.concat(entries, ",") .. "}"
  -- Spaces at the end, so that the tensors behind the header begin at a multiple of 8 bytes.
  return header .. (" "):rep(-#header % 8), tensors
end

return safetensors
