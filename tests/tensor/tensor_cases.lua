-- What the specs of tensors share: the dtypes, values, and layouts in memory.
local tensor = require("lkrun").tensor
local assert = require "luassert"

local cases = {}

cases.dtypes = { "f64", "f32", "i64", "i32", "u8" }
cases.all_dtypes = { "f64", "f32", "i64", "i32", "u8", "bool" }
cases.is_float = { f64 = true, f32 = true }

-- What an exact result becomes in the dtype.
cases.wrap = {
  f64 = function(x) return x end,
  f32 = function(x) return (string.unpack("f", string.pack("f", x))) end,
  i64 = function(x) return x end,
  i32 = function(x) return (x + (1 << 31)) % (1 << 32) - (1 << 31) end,
  u8 = function(x) return x % 256 end,
}

-- Calls f(index, value) for every element, in row-major order.
function cases.each(t, f)
  local index, size = {}, t:size()
  local function go(d)
    if d > #size then
      f(index, t:get(table.unpack(index, 1, #size)))
      return
    end
    for i = 1, size[d] do
      index[d] = i
      go(d + 1)
    end
  end
  go(1)
end

function cases.put(t, index, value)
  local at = table.move(index, 1, t:dim(), 1, {})
  at[#at + 1] = value
  t:set(table.unpack(at))
end

function cases.numbers(shape, dtype, seed)
  local t = tensor.zeros(shape, dtype)
  local i = 0
  cases.each(t, function(index)
    i = i + 1
    local x = (i * 7 + seed * 5) % 11 + 1
    if dtype == "bool" then x = i * seed % 3 == 0 end
    cases.put(t, index, x)
  end)
  return t
end

-- Tensors of the same values whose elements lie in memory in other ways.
function cases.layouts(t)
  local size, views = t:size(), { t }
  if #size == 0 then
    views[2] = tensor.full({ 3 }, t:item(), t.dtype):select(1, 2)
    return views
  end
  local deep, wide = t:size(), t:size()
  deep[#deep + 1] = 2
  views[2] = tensor.zeros(deep, t.dtype):select(#deep, 2):copy(t)
  for d = 1, #wide do wide[d] = wide[d] + d + 1 end
  local inner = tensor.zeros(wide, t.dtype)
  for d = 1, #wide do inner = inner:narrow(d, 2, size[d]) end
  views[3] = inner:copy(t)
  if #size > 1 then
    views[4] = t:transpose(1, #size):clone():transpose(1, #size)
    views[5] = t:transpose(1, 2):clone():transpose(1, 2)
  end
  return views
end

cases.shapes = { {}, { 0 }, { 1 }, { 5 }, { 3, 4 }, { 1, 4 }, { 4, 1 }, { 0, 3 }, { 3, 0 }, { 2, 3, 4 }, { 2, 1, 3 } }

-- Calls f(t, dtype) for a tensor of every layout and shape, in each of these dtypes.
function cases.for_all(list, f)
  for _, dtype in ipairs(list) do
    for _, shape in ipairs(cases.shapes) do
      for _, view in ipairs(cases.layouts(cases.numbers(shape, dtype, 2))) do f(view, dtype) end
    end
  end
end

function cases.same_elements(expected, t)
  assert.same(expected:size(), t:size())
  assert.equal(expected.dtype, t.dtype)
  assert.is_true(tensor.equal(expected, t), tostring(expected) .. "\n" .. tostring(t))
end

-- Whether f(...) raises an error that matches.
function cases.fails(pattern, f, ...)
  local arguments = table.pack(...)
  assert.error_matches(function() f(table.unpack(arguments, 1, arguments.n)) end, pattern)
end

return cases
