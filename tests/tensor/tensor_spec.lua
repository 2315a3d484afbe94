-- Tensors: making them, their elements, and how they are freed.
-- runs under: thread, valgrind
local tensor = require("lkrun").tensor
local cases = require "tests.tensor.tensor_cases"

local all_dtypes = cases.all_dtypes
local each = cases.each
local put = cases.put
local shapes = cases.shapes
local for_all = cases.for_all
local fails = cases.fails
local nan, inf = 0 / 0, math.huge

describe("making tensors", function()
  it("zeros, ones and full have the shape, dtype and value", function()
    for _, dtype in ipairs(all_dtypes) do
      for _, shape in ipairs(shapes) do
        local zero, one = 0, 1
        if dtype == "bool" then zero, one = false, true end
        local made = { [tensor.zeros(shape, dtype)] = zero, [tensor.ones(shape, dtype)] = one,
          [tensor.full(shape, one, dtype)] = one }
        for t, value in pairs(made) do
          assert.same(shape, t:size())
          assert.equal(#shape, t:dim())
          assert.equal(dtype, t.dtype)
          local count = 0
          each(t, function(_, x)
            count = count + 1
            assert.equal(value, x)
          end)
          assert.equal(count, t:numel())
        end
      end
    end
    assert.equal("f64", tensor.zeros({ 2 }).dtype)
    assert.same({ 3 }, tensor.zeros(3):size())
  end)

  it("are zero in recycled and in shared memory", function()
    for _ = 1, 50 do
      for _, n in ipairs { 1, 100, 8192, 8193, 20000 } do
        local t = tensor.zeros(n)
        assert.equal(0.0, t:sum())
        t:fill(7)
      end
    end
  end)

  it("from takes nested tables and names the place of what does not fit", function()
    assert.same({ { 1, 2, 3 }, { 4, 5, 6 } }, tensor.from({ { 1, 2, 3 }, { 4, 5, 6 } }):totable())
    assert.same({ { { true }, { false } } }, tensor.from({ { { true }, { false } } }, "bool"):totable())
    assert.same({ 2, 0 }, tensor.from { {}, {} }:size())
    assert.same({ 0 }, tensor.from {}:size())
    assert.same({}, tensor.from(5):size())
    assert.equal(5, tensor.from(5, "i64"):item())
    local from = tensor.from
    fails("lk.tensor.from: %[2%] is nil, which f64 cannot hold", from, { 1, nil, 3, n = 3 })
    fails("lk.tensor.from: %[3%] is nil, which f64 cannot hold", from, { 1, 2, n = 3 })
    assert.same({ 1, 2 }, from({ 1, 2, n = 2 }):totable())
    fails("lk.tensor.from: %[2%] has 1 elements; expected 2", from, { { 1, 2 }, { 3 } })
    fails("%[1%]%[2%] is a table; expected a number", from, { { 1, { 2 } } })
    fails("%[2%] is a number; expected a table", from, { { 1 }, 2 })
    fails("%[2%]%[1%] is 'x', which f64 cannot hold", from, { { 1 }, { "x" } })
    fails("%[1%] is true, which f64 cannot hold", from, { true })
    fails("%[2%] is 2.5, which i32 cannot hold", from, { 1, 2.5 }, "i32")
    fails("%[1%] is 1099511627776, which i32 cannot hold", from, { 1 << 40 }, "i32")
    fails("%[1%] is %-1, which u8 cannot hold", from, { -1 }, "u8")
    fails("%[1%] is 256, which u8 cannot hold", from, { 256 }, "u8")
    fails("%[2%] has 0 elements", from, { { 1 }, {} })
    local cycle = {}
    cycle[1] = cycle
    fails("more than 16 levels", from, cycle)
    fails("argument 1 is nil; expected a table of numbers", from)
  end)

  it("arange counts like a numeric for", function()
    assert.same({ 1, 2, 3 }, tensor.arange(3):totable())
    assert.same({}, tensor.arange(0):totable())
    assert.same({ 2, 4, 6 }, tensor.arange(2, 7, 2, "i32"):totable())
    assert.same({ 3, 2, 1 }, tensor.arange(3, 1, -1):totable())
    assert.same({ 0, 0.25, 0.5 }, tensor.arange(0, 0.5, 0.25, "f32"):totable())
    assert.same({ math.maxinteger }, tensor.arange(math.maxinteger, math.maxinteger, 3, "i64"):totable())
    assert.equal("f64", tensor.arange(3).dtype)
    fails("in steps of 0; expected finite numbers", tensor.arange, 1, 3, 0)
    fails("finite numbers", tensor.arange, 1, inf)
    fails("the last value is nil", tensor.arange, nil)
    fails("4 numbers", tensor.arange, 1, 2, 3, 4)
    fails("u8 cannot hold", tensor.arange, 1, 300, 1, "u8")
  end)

  it("rand and randn draw from the range and the distribution", function()
    for _, dtype in ipairs { "f64", "f32" } do
      local u = tensor.rand({ 100, 200 }, dtype)
      assert.is_true(u:min() >= 0 and u:max() < 1)
      assert.near(0.5, u:mean(), 0.02)
      local n = tensor.randn({ 100, 200 }, dtype)
      assert.near(0, n:mean(), 0.05)
      assert.near(1, n:norm() ^ 2 / 20000, 0.05)
      assert.is_false(tensor.equal(n, tensor.randn({ 100, 200 }, dtype)))
    end
    fails("the dtype is i64; expected f64 or f32", tensor.rand, { 2 }, "i64")
  end)

  it("refuse shapes and dtypes that are none", function()
    fails("lk.tensor.zeros: a size is %-1; expected 0 or more", tensor.zeros, { -1 })
    fails("a size is 1.5; expected an integer", tensor.zeros, { 1.5 })
    fails("a size is a string", tensor.zeros, { "2" })
    fails("the shape is nil; expected a table of sizes", tensor.zeros)
    fails("17 dimensions; expected at most 16", tensor.zeros, { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 })
    fails("no tensor can have the shape %[4611686018427387904, 4%]", tensor.zeros, { 1 << 62, 4 })
    fails("no tensor can have the shape", tensor.zeros, { 0, 1 << 62, 4 })
    fails("no room for f64 of %[1152921504606846975%]", tensor.zeros, { (1 << 60) - 1 })
    fails("no dtype is called 'f16'; there are f64", tensor.zeros, { 1 }, "f16")
    fails("the dtype is a number; expected f64", tensor.zeros, { 1 }, 8)
    fails("the dtype is a number; expected sizes in a table", tensor.zeros, 2, 3)
  end)

  it("are known from other values", function()
    assert.is_true(tensor.is(tensor.zeros { 1 }))
    assert.is_false(tensor.is {})
    assert.is_false(tensor.is(nil))
    assert.is_false(tensor.is(io.stdout))
  end)
end)

describe("elements", function()
  it("get, set and brackets agree for every layout", function()
    for_all(all_dtypes, function(t, dtype)
      local flat = {}
      each(t, function(_, x) flat[#flat + 1] = x end)
      local i = 0
      local function walk(at)
        if not tensor.is(at) then
          i = i + 1
          assert.equal(flat[i], at)
        else
          for j = 1, #at do walk(at[j]) end
        end
      end
      if t:dim() > 0 then walk(t) end
      each(t, function(index, x)
        local y
        if dtype == "bool" then y = not x else y = x + 3 end
        put(t, index, y)
        assert.equal(y, t:get(table.unpack(index, 1, t:dim())))
      end)
    end)
  end)

  it("assigning in brackets writes an element, a row, or fills a row", function()
    local t = tensor.zeros { 2, 3 }
    t[1] = tensor.from { 1, 2, 3 }
    t[2] = 7
    t[2][3] = 8
    assert.same({ { 1, 2, 3 }, { 7, 7, 8 } }, t:totable())
    t[2] = tensor.from({ 1, 0, 1 }, "u8")
    assert.same({ 1, 0, 1 }, t[2]:totable())
    fails("tensor%[i%] = v: a tensor of %[3%] and one of %[2%]", function() t[1] = tensor.zeros { 2 } end)
    fails("index 3 in dimension 1; expected from 1 to 2", function() t[3] = 1 end)
    fails("the value is nil; expected a number for f64", function() t[1] = nil end)
    fails("tensors have no fields to assign", function() t.name = 1 end)
  end)

  it("indices and values out of range are named", function()
    local t = tensor.zeros({ 2, 3 }, "i32")
    fails("tensor:get: index 0 in dimension 1; expected from 1 to 2", t.get, t, 0, 1)
    fails("tensor:get: index %-1 in dimension 2; expected from 1 to 3", t.get, t, 1, -1)
    fails("tensor:get: index 4 in dimension 2", t.get, t, 1, 4)
    fails("the index is 1.5; expected an integer", t.get, t, 1, 1.5)
    fails("the index is a string", t.get, t, 1, "1")
    fails("tensor:get: 1 indices; expected 2 for a tensor of %[2, 3%]", t.get, t, 1)
    fails("tensor:set: 1 indices; expected 2", t.set, t, 1, 5)
    fails("tensor:set: the value is 3.5, which i32 cannot hold", t.set, t, 1, 1, 3.5)
    fails("the value is 1099511627776, .* from %-2147483648 to 2147483647", t.set, t, 1, 1, 1 << 40)
    fails("the value is %-?nan", t.set, t, 1, 1, nan)
    fails("the value is a string; expected a number for i32", t.set, t, 1, 1, "1")
    fails("the value is a boolean; expected a number for i32", t.set, t, 1, 1, true)
    fails("argument 1 is a table; expected a tensor", t.get, {}, 1)
    fails("index 1 in dimension 1; it is empty", function() return tensor.zeros { 0 }[1] end)
    fails("tensor%[i%]: index 3", function() return t[3] end)
    fails("the tensor is a scalar", function() return tensor.from(1)[1] end)
    fails("there is no method or field 'zyx'; the manual", function() return t.zyx end)
    fails("there is no method or field 'sise' %(did you mean 'size'%?%); the manual", function() return t:sise() end)
    fails("there is no method or field a table; the manual", function() return t[{}] end)
    local u = tensor.zeros({ 1 }, "u8")
    fails("the value is %-1, which u8 cannot hold; expected an integer from 0 to 255", u.set, u, 1, -1)
    fails("the value is 256", u.set, u, 1, 256)
    local b = tensor.zeros({ 1 }, "bool")
    fails("the value is 2; expected a boolean", b.set, b, 1, 2)
    fails("the value is nil; expected a boolean", b.set, b, 1, nil)
    b:set(1, 1)
    assert.is_true(b:get(1))
    t:set(1, 1, 3.0)
    assert.equal(3, t:get(1, 1))
    assert.equal("integer", math.type(t:get(1, 1)))
  end)

  it("keep the limits of each dtype", function()
    for dtype, values in pairs {
      i64 = { math.mininteger, math.maxinteger },
      i32 = { -(1 << 31), (1 << 31) - 1 },
      u8 = { 0, 255 },
      f64 = { -inf, inf, -0.0, 5e-324, 1.7976931348623157e308 },
      f32 = { -inf, inf, 2 ^ -149, 3.4028234663852886e38 },
    } do
      assert.same(values, tensor.from(values, dtype):totable())
    end
    assert.equal(inf, tensor.from({ 1e39 }, "f32")[1])
    local x = tensor.from({ nan }, "f32")[1]
    assert.is_true(x ~= x)
  end)

  it("size, dim, numel and # agree", function()
    local t = tensor.zeros { 2, 3, 4 }
    assert.same({ 2, 3, 4 }, t:size())
    assert.equal(3, t:size(2))
    assert.equal(3, t:dim())
    assert.equal(24, t:numel())
    assert.equal(2, #t)
    fails("there is no dimension 4; expected from 1 to 3", t.size, t, 4)
    fails("there is no dimension 0", t.size, t, 0)
    fails("which has no index", function() return #tensor.from(1) end)
    assert.equal(5.0, tensor.from(5):item())
    assert.equal(5.0, tensor.from({ { 5 } }):item())
    fails("tensor:item: a tensor of %[2%]", function() tensor.zeros { 2 }:item() end)
  end)
end)

describe("garbage", function()
  it("of large tensors is collected before memory fills up", function()
    collectgarbage()
    local most = 0
    for _ = 1, 400 do
      tensor.zeros(1 << 20)
      most = math.max(most, tensor.bytes())
    end
    assert.is_true(most < 200 * (1 << 20), most)
  end)
end)
