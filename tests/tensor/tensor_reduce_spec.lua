-- Reductions of tensors, against plain loops.
-- runs under: thread
local tensor = require("lkrun").tensor
local cases = require "tests.tensor.tensor_cases"

local all_dtypes = cases.all_dtypes
local is_float = cases.is_float
local each = cases.each
local for_all = cases.for_all
local fails = cases.fails
local nan, inf = 0 / 0, math.huge

describe("reductions", function()
  -- The rows along dimension d: f(index without d, values).
  local function rows_along(t, d, f)
    local size = t:size()
    local n = table.remove(size, d)
    each(tensor.zeros(size), function(index)
      local values, at = {}, table.move(index, 1, #size, 1, {})
      table.insert(at, d, 0)
      for i = 1, n do
        at[d] = i
        values[i] = t:get(table.unpack(at))
      end
      f(table.move(index, 1, #size, 1, {}), values)
    end)
  end

  local function number(x) return x == true and 1 or x == false and 0 or x end
  local function sum(values)
    local total = 0
    for _, x in ipairs(values) do total = total + number(x) end
    return total
  end
  local function extreme(better)
    return function(values)
      local found = 1
      for i, x in ipairs(values) do
        if better(number(x), number(values[found])) then found = i end
      end
      return found
    end
  end
  local least = extreme(function(a, b) return a < b end)
  local greatest = extreme(function(a, b) return a > b end)

  it("agree with loops over every layout, whole and along every dimension", function()
    for_all(all_dtypes, function(t, dtype)
      local flat = {}
      each(t, function(_, x) flat[#flat + 1] = x end)
      assert.equal(sum(flat), t:sum())
      if #flat > 0 then
        assert.near(sum(flat) / #flat, t:mean(), 1e-9)
        assert.equal(flat[least(flat)], t:min())
        assert.equal(flat[greatest(flat)], t:max())
        assert.equal(flat[least(flat)], t:get(t:argmin()))
        assert.equal(flat[greatest(flat)], t:get(t:argmax()))
      end
      for d = 1, t:dim() do
        local sums, means = t:sum(d), t:mean(d)
        assert.equal(is_float[dtype] and dtype or "i64", sums.dtype)
        assert.equal(dtype == "f32" and "f32" or "f64", means.dtype)
        local can_compare = t:size(d) > 0
        local min, max = can_compare and t:min(d), can_compare and t:max(d)
        local argmin, argmax = can_compare and t:argmin(d), can_compare and t:argmax(d)
        rows_along(t, d, function(index, values)
          local at = function(tensor_) return tensor_:get(table.unpack(index)) end
          assert.equal(sum(values), at(sums))
          if not can_compare then return end
          assert.near(sum(values) / #values, at(means), 1e-6)
          assert.equal(values[least(values)], at(min))
          assert.equal(values[greatest(values)], at(max))
          assert.equal(least(values), at(argmin))
          assert.equal(greatest(values), at(argmax))
        end)
      end
    end)
  end)

  it("of nothing: a sum of 0, a mean that is not a number, no extremes", function()
    local empty = tensor.zeros { 0, 3 }
    assert.equal(0.0, empty:sum())
    assert.same({ 0, 0, 0 }, empty:sum(1):totable())
    local mean = empty:mean()
    assert.is_true(mean ~= mean)
    fails("tensor:max: a tensor of %[0, 3%] has no elements here", empty.max, empty)
    fails("tensor:argmin: a tensor", empty.argmin, empty, 1)
    assert.same({}, empty:max(2):totable())
  end)

  it("var and std: of all and along dimensions, less ddof, near a large mean too", function()
    local t = tensor.from { { 1, 2, 3, 4 }, { 10, 10, 10, 10 } }
    assert.near(14.6875, t:var(), 1e-12)
    assert.same({ 1.25, 0 }, t:var(2):totable())
    assert.same({ math.sqrt(5 / 3), 0 }, t:std(2, 1):totable())
    assert.same({ 20.25, 16, 12.25, 9 }, t:t():var(2):totable())
    assert.near(math.sqrt(14.6875 * 8 / 7), t:std(nil, 1), 1e-12)
    assert.equal(2 / 3, tensor.from({ 1e9 + 1, 1e9 + 2, 1e9 + 3 }):var())
    assert.equal("f32", tensor.ones({ 2, 2 }, "f32"):std(1).dtype)
    assert.equal(0.25, tensor.from({ true, false }, "bool"):var())
    for _, of_too_few in ipairs { tensor.zeros({ 0 }):var(), tensor.from({ 7 }):std(nil, 1) } do
      assert.is_true(of_too_few ~= of_too_few)
    end
    assert.equal(inf, tensor.from({ 1, 3 }):var(nil, 2))
    for found, ddof in pairs { ["%-1"] = -1, ["0%.5"] = 0.5, ["'1'"] = "1", ["a table"] = {} } do
      fails("tensor:std: ddof is " .. found .. "; expected an integer of 0 or more", t.std, t, 1, ddof)
    end
    fails("tensor:var: ", t.var, t, 3)
  end)

  it("keep not-a-number, and exactness", function()
    local t = tensor.from { 1, nan, 3, nan }
    assert.is_true(t:max() ~= t:max() and t:min() ~= t:min())
    assert.equal(2, t:argmax())
    assert.equal(2, t:argmin())
    assert.equal(1 << 53, tensor.from({ 1 << 53, 1, -1 }, "i64"):sum())
    assert.equal(math.mininteger, tensor.from({ math.maxinteger, 1 }, "i64"):sum())
    assert.equal(2.0 ^ 62, tensor.from({ 1 << 62, 1 << 62, 1 << 62 }, "i64"):mean())
    assert.equal(2.0 ^ 62, tensor.from({ { 1 << 62, 1 << 62, 1 << 62 } }, "i64"):mean(2)[1])
    assert.equal(510, tensor.from({ 255, 255 }, "u8"):sum())
    assert.equal(2, tensor.from({ true, false, true }, "bool"):sum())
    assert.near(100000, tensor.full({ 1000000 }, 0.1, "f64"):sum(), 1e-8)
    assert.near(100000, tensor.full({ 1000000 }, 0.1, "f32"):sum(), 0.01)
  end)

  it("norm neither overflows nor vanishes", function()
    for_all(all_dtypes, function(t)
      local squares = 0
      each(t, function(_, x) squares = squares + number(x) ^ 2 end)
      assert.near(math.sqrt(squares), t:norm(), 1e-9)
    end)
    assert.near(5e200, tensor.from({ 3e200, 4e200 }):norm(), 1e190)
    assert.near(5e-200, tensor.from({ 3e-200, -4e-200 }):norm(), 1e-210)
    assert.equal(inf, tensor.from({ inf, 1 }):norm())
    local x = tensor.from({ nan }):norm()
    assert.is_true(x ~= x)
  end)
end)
