-- The order of elements: sort, argsort, topk.
-- runs under: thread
local tensor = require("lkrun").tensor
local cases = require "tests.tensor.tensor_cases"

local all_dtypes = cases.all_dtypes
local is_float = cases.is_float
local numbers = cases.numbers
local layouts = cases.layouts
local fails = cases.fails
local nan, inf = 0 / 0, math.huge

describe("order", function()
  -- What topk and sort must give: a stable order, not-a-number last.
  local function ordered(values, descending)
    local places = {}
    for i = 1, #values do places[i] = i end
    table.sort(places, function(i, j)
      local a, b = values[i], values[j]
      local a_nan, b_nan = a ~= a, b ~= b
      if a_nan ~= b_nan then return b_nan end
      if not a_nan and a ~= b then
        if descending then return a > b end
        return a < b
      end
      return i < j
    end)
    return places
  end

  local function check(t)
    local values = t:totable()
    if t.dtype == "bool" then
      for i, x in ipairs(values) do values[i] = x and 1 or 0 end
    end
    for _, descending in ipairs { false, true } do
      local places = ordered(values, descending)
      assert.same(places, t:argsort(descending):totable())
      local sorted = t:sort(descending)
      for i, place in ipairs(places) do
        assert.is_true(sorted[i] == t[place] or t[place] ~= t[place] and sorted[i] ~= sorted[i])
      end
    end
    local places = ordered(values, true)
    for _, k in ipairs { 0, 1, 2, 3, 10, 64, 65, #values } do
      if k <= #values then
        local best, indices = t:topk(k)
        assert.same(table.move(places, 1, k, 1, {}), indices:totable())
        assert.equal("i64", indices.dtype)
        for i = 1, k do
          assert.is_true(best[i] == t[places[i]] or best[i] ~= best[i] and t[places[i]] ~= t[places[i]])
        end
      end
    end
  end

  for _, dtype in ipairs(all_dtypes) do
    it("sort, argsort and topk are stable, for " .. dtype, function()
      local state = 12345
      local function draw(limit)
        state = (state * 1103515245 + 12345) & 0x7fffffff
        return (state >> 8) % limit
      end
      for _, n in ipairs { 0, 1, 2, 5, 63, 64, 65, 300 } do
        for _, limit in ipairs { 2, 7, 200 } do
          local t = tensor.zeros({ n }, dtype)
          for i = 1, n do
            local x = draw(limit)
            if dtype == "bool" then
              x = x % 2 == 1
            elseif is_float[dtype] then
              x = ({ [0] = nan, [1] = -inf, [2] = inf, [3] = -0.0, [4] = 0.0 })[x] or x - 100.5
            elseif dtype ~= "u8" then
              x = x - 100
            end
            t[i] = x
          end
          check(t)
          check(tensor.zeros({ n, 2 }, dtype):select(2, 1):copy(t))
        end
      end
    end)
  end

  it("topk works along the last dimension", function()
    local t = numbers({ 3, 2, 100 }, "f32", 2)
    for _, view in ipairs(layouts(t)) do
      local values, indices = view:topk(5)
      assert.same({ 3, 2, 5 }, values:size())
      for i = 1, 3 do
        for j = 1, 2 do
          local v, p = t[i][j]:topk(5)
          assert.same(v:totable(), values[i][j]:totable())
          assert.same(p:totable(), indices[i][j]:totable())
        end
      end
    end
    assert.same({ 2, 0 }, tensor.zeros { 2, 3 }:topk(0):size())
    assert.same({ 0, 2 }, tensor.zeros { 0, 3 }:topk(2):size())
  end)

  it("a row of nothing but not-a-number, and one that ends in numbers", function()
    check(tensor.full({ 200 }, nan))
    local t = tensor.full({ 200 }, nan, "f32")
    for i = 150, 160 do t[i] = i % 3 end
    check(t)
    check(tensor.full({ 200 }, -inf))
  end)

  it("integers at their limits", function()
    check(tensor.from({ math.mininteger, 0, math.maxinteger, -1, math.mininteger }, "i64"))
  end)

  it("names what does not fit", function()
    local t = tensor.zeros { 2, 3 }
    fails("tensor:sort: a tensor of %[2, 3%]; expected a vector", t.sort, t)
    fails("tensor:topk: k is 4; expected from 0 to the size of the last dimension, 3", t.topk, t, 4)
    fails("k is %-1", t.topk, t, -1)
    fails("k is nil", t.topk, t)
    fails("the tensor is a scalar", function() tensor.from(1):topk(1) end)
  end)
end)
