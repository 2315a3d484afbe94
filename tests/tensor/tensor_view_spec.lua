-- Views and copies of tensors of every layout.
-- runs under: thread
local tensor = require("lkrun").tensor
local cases = require "tests.tensor.tensor_cases"

local dtypes = cases.dtypes
local all_dtypes = cases.all_dtypes
local each = cases.each
local put = cases.put
local layouts = cases.layouts
local for_all = cases.for_all
local same_elements = cases.same_elements
local fails = cases.fails
local nan, inf = 0 / 0, math.huge

describe("views", function()
  it("share storage with what they show", function()
    local t = tensor.arange(24):view(2, 3, 4)
    local views = {
      { t:select(2, 3), function(i, k) return i, 3, k end },
      { t:narrow(3, 2, 2), function(i, j, k) return i, j, k + 1 end },
      { t:transpose(1, 3), function(k, j, i) return i, j, k end },
      { t[2], function(j, k) return 2, j, k end },
      { t:view { 6, 4 }, function(r, k) return (r - 1) // 3 + 1, (r - 1) % 3 + 1, k end },
      { t:reshape(4, 6), function(r, c)
        local n = (r - 1) * 6 + c - 1
        return n // 12 + 1, n // 4 % 3 + 1, n % 4 + 1
      end },
    }
    for _, case in ipairs(views) do
      local view, place = case[1], case[2]
      each(view, function(index, x) assert.equal(t:get(place(table.unpack(index))), x) end)
      each(view, function(index, x)
        put(view, index, -1)
        assert.equal(-1.0, t:get(place(table.unpack(index))))
        put(view, index, x)
      end)
    end
    local first = views[1][1]
    first:fill(99)
    for i = 1, 2 do
      for k = 1, 4 do assert.equal(99.0, t:get(i, 3, k)) end
    end
  end)

  it("t turns a matrix, select of a vector is a scalar", function()
    local m = tensor.arange(6):view(2, 3)
    assert.same({ { 1, 4 }, { 2, 5 }, { 3, 6 } }, m:t():totable())
    assert.same({}, tensor.arange(3):select(1, 2):size())
    assert.equal(2.0, tensor.arange(3):select(1, 2):item())
  end)

  it("expand repeats without copying, and is not written as a whole", function()
    local row = tensor.from { 1, 2, 3 }
    local many = row:expand { 2, 3 }
    assert.same({ { 1, 2, 3 }, { 1, 2, 3 } }, many:totable())
    many:set(1, 1, 9)
    assert.equal(9.0, many:get(2, 1))
    assert.same({ { 5, 5 }, { 6, 6 } }, tensor.from { { 5 }, { 6 } }:expand(2, 2):totable())
    fails("tensor:add: the tensor was expanded", many.add, many, 1)
    fails("cannot be expanded to %[2, 4%]", row.expand, row, { 2, 4 })
    fails("a tensor of %[2, 3%] cannot be expanded to %[3%]", row.expand, many, { 3 })
    fails("a tensor of %[3%] cannot be expanded to %[%]", row.expand, row, {})
    same_elements(tensor.zeros { 0, 3 }, row:expand { 0, 3 })
  end)

  it("narrow takes empty and whole ranges and refuses the rest", function()
    local t = tensor.arange(5)
    assert.same({}, t:narrow(1, 3, 0):totable())
    assert.same({}, t:narrow(1, 6, 0):totable())
    assert.same({ 1, 2, 3, 4, 5 }, t:narrow(1, 1, 5):totable())
    fails("3 from index 4 in dimension 1; expected indices from 1 to 5", t.narrow, t, 1, 4, 3)
    fails("from index 0", t.narrow, t, 1, 0, 1)
    fails("%-1 from index 1", t.narrow, t, 1, 1, -1)
    fails("from index", t.narrow, t, 1, math.maxinteger, 2)
    fails("from index", t.narrow, t, 1, 2, math.maxinteger)
    fails("from index", t.narrow, t, 1, math.mininteger, 1)
  end)

  it("view refuses what has no such view, reshape copies it", function()
    local m = tensor.arange(6):view(2, 3)
    fails("not contiguous, so no view can have the shape %[6%]", function() m:t():view(6) end)
    assert.same({ 1, 4, 2, 5, 3, 6 }, m:t():reshape(6):totable())
    fails("the shape %[4%] for a tensor of %[2, 3%]; expected one of 6 elements", m.view, m, 4)
    fails("expected one of 6 elements", m.view, m, { 1 << 62, 4 })
    same_elements(tensor.zeros { 3, 0 }, tensor.zeros { 0, 5 }:view(3, 0))
    fails("a tensor of %[6%]; expected one of 2 dimensions", function() m:view(6):t() end)
  end)

  it("outlive the tensor they were made of", function()
    local view = tensor.full({ 100, 200 }, 3):select(1, 50)
    collectgarbage()
    collectgarbage()
    tensor.zeros { 100, 200 }
    assert.equal(600.0, view:sum())
  end)
end)

describe("copies", function()
  it("clone, contiguous, reshape and totable keep the elements of every layout", function()
    for_all(all_dtypes, function(t)
      local copy = t:clone()
      same_elements(t, copy)
      assert.is_true(copy:is_contiguous())
      same_elements(t, t:contiguous())
      if t:dim() > 0 then same_elements(t, tensor.from(t:totable(), t.dtype):reshape(t:size())) end
      if t:numel() > 0 and t.dtype ~= "bool" then
        copy:fill(100)
        assert.is_false(tensor.equal(t, copy))
      end
    end)
    local t = tensor.zeros { 2, 2 }
    assert.equal(t, t:contiguous())
    assert.is_false(t:t():is_contiguous())
  end)

  it("copy and to convert between all dtypes", function()
    for_all(all_dtypes, function(t, dtype)
      local as_number = dtype == "bool" and function(x) return x and 1 or 0 end or function(x) return x end
      for _, target in ipairs(dtypes) do
        local converted = t:to(target)
        assert.equal(target, converted.dtype)
        each(t, function(index, x) assert.equal(as_number(x), converted:get(table.unpack(index, 1, t:dim()))) end)
        for _, into in ipairs(layouts(tensor.zeros(t:size(), target))) do
          assert.equal(into, into:copy(t))
          same_elements(converted, into)
        end
      end
    end)
    assert.same({ true, false }, tensor.from({ 1, 0 }):to("bool"):totable())
  end)

  it("a value that the dtype has not is an error, not another value", function()
    local function to(values, from, target) return tensor.from(values, from):to(target) end
    fails("tensor:to: an element is 2.5, which i32 cannot hold; round it first", to, { 1, 2.5 }, "f64", "i32")
    fails("an element is %-?nan, which i64 cannot hold", to, { nan }, "f64", "i64")
    fails("an element is inf", to, { inf }, "f32", "i64")
    fails("which i64 cannot hold", to, { 2 ^ 63 }, "f64", "i64")
    fails("which i32 cannot hold", to, { 2 ^ 31 }, "f32", "i32")
    fails("an element is 4294967296, which i32 cannot hold$", to, { 1 << 32 }, "i64", "i32")
    fails("an element is %-1, which u8 cannot hold", to, { -1 }, "i32", "u8")
    fails("an element is 2, which bool cannot hold", to, { 2 }, "u8", "bool")
    assert.same({ math.mininteger }, to({ -2 ^ 63 }, "f64", "i64"):totable())
    assert.same({ -(1 << 31) }, to({ -2 ^ 31 }, "f32", "i32"):totable())
    assert.same({ 255 }, to({ 255 }, "f64", "u8"):totable())
    fails("tensor:copy: a tensor of %[2%] and one of %[3%]", function() tensor.zeros(2):copy(tensor.zeros(3)) end)
  end)

  it("copy between overlapping views moves the old elements", function()
    for _, n in ipairs { 5, 50 } do
      local t = tensor.arange(n)
      t:narrow(1, 2, n - 1):copy(t:narrow(1, 1, n - 1))
      for i = 2, n do assert.equal(i - 1.0, t[i]) end
      t = tensor.arange(n)
      t:narrow(1, 1, n - 1):copy(t:narrow(1, 2, n - 1))
      for i = 1, n - 1 do assert.equal(i + 1.0, t[i]) end
    end
    local m = tensor.arange(9):view(3, 3)
    m:copy(m:t())
    assert.same({ { 1, 4, 7 }, { 2, 5, 8 }, { 3, 6, 9 } }, m:totable())
  end)

  it("fill and zero write every element and nothing else", function()
    local whole = tensor.zeros({ 4, 5 }, "i32")
    whole:narrow(1, 2, 2):narrow(2, 2, 3):fill(7)
    assert.equal(42, whole:sum())
    whole:t():narrow(1, 2, 1):zero()
    assert.equal(28, whole:sum())
  end)
end)
