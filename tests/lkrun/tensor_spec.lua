-- Tensors, against plain loops over get, for every dtype and every kind of view.
local lk = require "lkrun"
local tensor = lk.tensor

local dtypes = { "f64", "f32", "i64", "i32", "u8" }
local all_dtypes = { "f64", "f32", "i64", "i32", "u8", "bool" }
local is_float = { f64 = true, f32 = true }
local nan, inf = 0 / 0, math.huge

local wrap = {
  f64 = function(x) return x end,
  f32 = function(x) return (string.unpack("f", string.pack("f", x))) end,
  i64 = function(x) return x end,
  i32 = function(x) return (x + (1 << 31)) % (1 << 32) - (1 << 31) end,
  u8 = function(x) return x % 256 end,
}

-- Calls f(index, value) for every element, in row-major order.
local function each(t, f)
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

local function put(t, index, value)
  local at = table.move(index, 1, t:dim(), 1, {})
  at[#at + 1] = value
  t:set(table.unpack(at))
end

local function numbers(shape, dtype, seed)
  local t = tensor.zeros(shape, dtype)
  local i = 0
  each(t, function(index)
    i = i + 1
    local x = (i * 7 + seed * 5) % 11 + 1
    if dtype == "bool" then x = i * seed % 3 == 0 end
    put(t, index, x)
  end)
  return t
end

-- Tensors of the same values whose elements lie in memory in other ways.
local function layouts(t)
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

local shapes = { {}, { 0 }, { 1 }, { 5 }, { 3, 4 }, { 1, 4 }, { 4, 1 }, { 0, 3 }, { 3, 0 }, { 2, 3, 4 }, { 2, 1, 3 } }

-- f(t) for the layouts of every shape in every one of these dtypes.
local function for_all(list, f)
  for _, dtype in ipairs(list) do
    for _, shape in ipairs(shapes) do
      for _, view in ipairs(layouts(numbers(shape, dtype, 2))) do f(view, dtype) end
    end
  end
end

local function same_elements(expected, t)
  assert.same(expected:size(), t:size())
  assert.equal(expected.dtype, t.dtype)
  assert.is_true(tensor.equal(expected, t), tostring(expected) .. "\n" .. tostring(t))
end

local function fails(pattern, f, ...)
  local arguments = table.pack(...)
  assert.error_matches(function() f(table.unpack(arguments, 1, arguments.n)) end, pattern)
end

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
    fails("lk.tensor.from: %[2%] has 1 elements; the first at its depth has 2", from, { { 1, 2 }, { 3 } })
    fails("%[1%]%[2%] is a table; a number is expected", from, { { 1, { 2 } } })
    fails("%[2%] is a number; a table is expected", from, { { 1 }, 2 })
    fails("%[2%]%[1%] is x, which is no value for f64", from, { { 1 }, { "x" } })
    fails("%[1%] is true, which is no value for f64", from, { true })
    fails("%[2%] is 2.5, which is no value for i32", from, { 1, 2.5 }, "i32")
    fails("%[1%] is 1099511627776, which is no value for i32", from, { 1 << 40 }, "i32")
    fails("%[1%] is %-1, which is no value for u8", from, { -1 }, "u8")
    fails("%[1%] is 256, which is no value for u8", from, { 256 }, "u8")
    fails("%[2%] has 0 elements", from, { { 1 }, {} })
    local cycle = {}
    cycle[1] = cycle
    fails("nested deeper than 16", from, cycle)
    fails("argument 1 is nil; a table of numbers", from)
  end)

  it("arange counts like a numeric for", function()
    assert.same({ 1, 2, 3 }, tensor.arange(3):totable())
    assert.same({}, tensor.arange(0):totable())
    assert.same({ 2, 4, 6 }, tensor.arange(2, 7, 2, "i32"):totable())
    assert.same({ 3, 2, 1 }, tensor.arange(3, 1, -1):totable())
    assert.same({ 0, 0.25, 0.5 }, tensor.arange(0, 0.5, 0.25, "f32"):totable())
    assert.same({ math.maxinteger }, tensor.arange(math.maxinteger, math.maxinteger, 3, "i64"):totable())
    assert.equal("f64", tensor.arange(3).dtype)
    fails("in steps of 0; finite numbers", tensor.arange, 1, 3, 0)
    fails("finite numbers", tensor.arange, 1, inf)
    fails("the last value is nil", tensor.arange, nil)
    fails("4 numbers", tensor.arange, 1, 2, 3, 4)
    fails("no value for u8", tensor.arange, 1, 300, 1, "u8")
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
    fails("the dtype is i64; f64 or f32", tensor.rand, { 2 }, "i64")
  end)

  it("refuse shapes and dtypes that are none", function()
    fails("lk.tensor.zeros: a size is %-1; sizes are 0 or more", tensor.zeros, { -1 })
    fails("a size is 1.5; an integer", tensor.zeros, { 1.5 })
    fails("a size is a string", tensor.zeros, { "2" })
    fails("the shape is nil; a table of sizes", tensor.zeros)
    fails("17 dimensions; a tensor has at most 16", tensor.zeros, { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 })
    fails("no tensor can have the shape %[4611686018427387904, 4%]", tensor.zeros, { 1 << 62, 4 })
    fails("no tensor can have the shape", tensor.zeros, { 0, 1 << 62, 4 })
    fails("no room for f64 of %[1152921504606846975%]", tensor.zeros, { (1 << 60) - 1 })
    fails("no dtype is called 'f16'; there are f64", tensor.zeros, { 1 }, "f16")
    fails("the dtype is a number", tensor.zeros, { 1 }, 8)
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
    fails("index 3 in dimension 1; it is from 1 to 2", function() t[3] = 1 end)
    fails("the value is nil; a number is expected for f64", function() t[1] = nil end)
    fails("tensors have no fields to assign", function() t.name = 1 end)
  end)

  it("indices and values out of range are named", function()
    local t = tensor.zeros({ 2, 3 }, "i32")
    fails("tensor:get: index 0 in dimension 1; it is from 1 to 2", t.get, t, 0, 1)
    fails("tensor:get: index %-1 in dimension 2; it is from 1 to 3", t.get, t, 1, -1)
    fails("tensor:get: index 4 in dimension 2", t.get, t, 1, 4)
    fails("the index is 1.5; an integer", t.get, t, 1, 1.5)
    fails("the index is a string", t.get, t, 1, "1")
    fails("tensor:get: 1 indices; 2 are expected for a tensor of %[2, 3%]", t.get, t, 1)
    fails("tensor:set: 1 indices; 2 are expected", t.set, t, 1, 5)
    fails("tensor:set: the value is 3.5, which is no value for i32", t.set, t, 1, 1, 3.5)
    fails("the value is 1099511627776, .* from %-2147483648 to 2147483647", t.set, t, 1, 1, 1 << 40)
    fails("the value is %-?nan", t.set, t, 1, 1, nan)
    fails("the value is a string; a number is expected for i32", t.set, t, 1, 1, "1")
    fails("the value is a boolean; a number is expected for i32", t.set, t, 1, 1, true)
    fails("argument 1 is a table; a tensor is expected", t.get, {}, 1)
    fails("index 1 in dimension 1; it is empty", function() return tensor.zeros { 0 }[1] end)
    fails("tensor%[i%]: index 3", function() return t[3] end)
    fails("the tensor is a scalar", function() return tensor.from(1)[1] end)
    fails("there is no method or field 'foo'", function() return t.foo end)
    local u = tensor.zeros({ 1 }, "u8")
    fails("the value is %-1, which is no value for u8; an integer from 0 to 255", u.set, u, 1, -1)
    fails("the value is 256", u.set, u, 1, 256)
    local b = tensor.zeros({ 1 }, "bool")
    fails("the value is 2; a boolean is expected", b.set, b, 1, 2)
    fails("the value is nil; a boolean", b.set, b, 1, nil)
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
    fails("there is no dimension 4; it is from 1 to 3", t.size, t, 4)
    fails("there is no dimension 0", t.size, t, 0)
    fails("which has no index", function() return #tensor.from(1) end)
    assert.equal(5.0, tensor.from(5):item())
    assert.equal(5.0, tensor.from({ { 5 } }):item())
    fails("tensor:item: a tensor of %[2%]", function() tensor.zeros { 2 }:item() end)
  end)
end)

describe("views", function()
  it("share storage with what they show", function()
    local t = tensor.arange(24):view(2, 3, 4)
    local cases = {
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
    for _, case in ipairs(cases) do
      local view, place = case[1], case[2]
      each(view, function(index, x) assert.equal(t:get(place(table.unpack(index))), x) end)
      each(view, function(index, x)
        put(view, index, -1)
        assert.equal(-1.0, t:get(place(table.unpack(index))))
        put(view, index, x)
      end)
    end
    local first = cases[1][1]
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
    fails("a tensor of %[2, 3%]; it cannot be expanded to %[3%]", row.expand, many, { 3 })
    fails("a tensor of %[3%]; it cannot be expanded to %[%]", row.expand, row, {})
    same_elements(tensor.zeros { 0, 3 }, row:expand { 0, 3 })
  end)

  it("narrow takes empty and whole ranges and refuses the rest", function()
    local t = tensor.arange(5)
    assert.same({}, t:narrow(1, 3, 0):totable())
    assert.same({}, t:narrow(1, 6, 0):totable())
    assert.same({ 1, 2, 3, 4, 5 }, t:narrow(1, 1, 5):totable())
    fails("3 from index 4 in dimension 1; its indices are 1 to 5", t.narrow, t, 1, 4, 3)
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
    fails("has 6 elements; the shape %[4%] has another number", m.view, m, 4)
    fails("has another number", m.view, m, { 1 << 62, 4 })
    same_elements(tensor.zeros { 3, 0 }, tensor.zeros { 0, 5 }:view(3, 0))
    fails("a tensor of %[6%]; one of 2 dimensions", function() m:view(6):t() end)
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
    fails("tensor:to: an element is 2.5, which is no value for i32; round it first", to, { 1, 2.5 }, "f64", "i32")
    fails("an element is %-?nan, which is no value for i64", to, { nan }, "f64", "i64")
    fails("an element is inf", to, { inf }, "f32", "i64")
    fails("which is no value for i64", to, { 2 ^ 63 }, "f64", "i64")
    fails("which is no value for i32", to, { 2 ^ 31 }, "f32", "i32")
    fails("an element is 4294967296, which is no value for i32$", to, { 1 << 32 }, "i64", "i32")
    fails("an element is %-1, which is no value for u8", to, { -1 }, "i32", "u8")
    fails("an element is 2, which is no value for bool", to, { 2 }, "u8", "bool")
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

describe("arithmetic", function()
  local operations = {
    add = { function(a, b) return a + b end, function(a, b) return a + b end },
    sub = { function(a, b) return a - b end, function(a, b) return a - b end },
    mul = { function(a, b) return a * b end, function(a, b) return a * b end },
    div = { function(a, b) return a / b end, function(a, b) return a // b end },
  }

  for name, scalar in pairs(operations) do
    it(name .. " works in place on every layout, with tensors and numbers", function()
      for_all(dtypes, function(t, dtype)
        local f = is_float[dtype] and scalar[1] or scalar[2]
        local other = numbers(t:size(), dtype, 3)
        for _, b in ipairs(layouts(other)) do
          local expected = t:clone()
          each(t, function(index, x)
            put(expected, index, wrap[dtype](f(x, b:get(table.unpack(index, 1, t:dim())))))
          end)
          local target = t:clone()
          assert.equal(target, target[name](target, b))
          same_elements(expected, target)
        end
        local expected = t:clone()
        each(t, function(index, x) put(expected, index, wrap[dtype](f(x, 3))) end)
        local kept = t:clone()
        t[name](t, 3)
        same_elements(expected, t)
        t:copy(kept)
      end)
    end)
  end

  it("operators make new tensors, with a number on either side", function()
    for_all(dtypes, function(t, dtype)
      local b = numbers(t:size(), dtype, 3)
      local kept = t:clone()
      local function agrees(made, f, result)
        assert.equal(result or dtype, made.dtype)
        each(t, function(index, x)
          local at = { table.unpack(index, 1, t:dim()) }
          assert.equal(wrap[result or dtype](f(x, b:get(table.unpack(at)))), made:get(table.unpack(at)))
        end)
      end
      local quotient = not is_float[dtype] and "f64" or nil
      agrees(t + b, function(x, y) return x + y end)
      agrees(t - b, function(x, y) return x - y end)
      agrees(t * b, function(x, y) return x * y end)
      agrees(t / b, function(x, y) return x / y end, quotient)
      agrees(t // b, function(x, y) return x // y end)
      agrees(-t, function(x) return -x end)
      agrees(t + 2, function(x) return x + 2 end)
      agrees(2 + t, function(x) return 2 + x end)
      agrees(t - 2, function(x) return x - 2 end)
      agrees(2 - t, function(x) return 2 - x end)
      agrees(t * 2, function(x) return x * 2 end)
      agrees(2 * t, function(x) return 2 * x end)
      agrees(t / 2, function(x) return x / 2 end, quotient)
      agrees(2 / t, function(x) return 2 / x end, quotient)
      agrees(t // 2, function(x) return x // 2 end)
      agrees(2 // t, function(x) return 2 // x end)
      same_elements(kept, t)
    end)
  end)

  it("integers wrap, and floor when they divide", function()
    local i = tensor.from({ math.maxinteger, math.mininteger, -7 }, "i64")
    assert.same({ math.mininteger, math.mininteger + 1, -6 }, (i + 1):totable())
    assert.same({ -2, 0, -14 }, (i * 2):totable())
    assert.same({ -math.maxinteger, math.mininteger, 7 }, (-i):totable())
    assert.same({ -math.maxinteger, math.mininteger, 7 }, (i // -1):totable())
    assert.same({ 4611686018427387903, -4611686018427387904, -4 }, i:clone():div(2):totable())
    local s = tensor.from({ (1 << 31) - 1, -(1 << 31) }, "i32")
    assert.same({ -(1 << 31), -(1 << 31) + 1 }, (s + 1):totable())
    assert.same({ 1, 0 }, (s * s):totable())
    assert.same({ -((1 << 31) - 1), -(1 << 31) }, (s // -1):totable())
    local u = tensor.from({ 250, 3 }, "u8")
    assert.same({ 4, 13 }, (u + 10):totable())
    assert.same({ 246, 255 }, (u - 4):totable())
    assert.same({ 6, 253 }, (-u):totable())
  end)

  it("an integer divided by 0 raises, a float is infinite", function()
    local i = tensor.from({ 1, 2 }, "i32")
    fails("tensor:div: an integer is divided by 0", i.div, i, 0)
    fails("divided by 0", i.div, i, tensor.from({ 1, 0 }, "i32"))
    fails("tensor // tensor: an integer is divided by 0", function() return i // 0 end)
    assert.same({ 1, 2 }, i:totable())
    assert.same({ inf, inf }, (i / 0):totable())
    assert.same({ inf, -inf }, tensor.from({ 1, -1 }):div(0):totable())
    assert.equal(-inf, 1 / (-tensor.from({ 0.0 }))[1])
  end)

  it("takes itself and overlapping views", function()
    local t = tensor.arange(5)
    assert.same({ 2, 4, 6, 8, 10 }, t:add(t):totable())
    t = tensor.arange(5)
    t:narrow(1, 2, 4):add(t:narrow(1, 1, 4))
    assert.same({ 1, 3, 5, 7, 9 }, t:totable())
    local m = tensor.arange(4):view(2, 2)
    m:add(m:t())
    assert.same({ { 2, 5 }, { 5, 8 } }, m:totable())
  end)

  it("names what does not fit", function()
    local t = tensor.zeros { 2, 3 }
    fails("tensor:add: a tensor of %[2, 3%] and one of %[3%]; the same shape", t.add, t, tensor.zeros { 3 })
    fails("tensor:mul: a tensor of f64 and one of f32; the same dtype", t.mul, t, tensor.zeros({ 2, 3 }, "f32"))
    fails("the value is 0.5, which is no value for i32", function() return tensor.zeros({ 1 }, "i32") * 0.5 end)
    fails("the value is a string", function() return t + "1" end)
    fails("the value is nil", t.add, t)
    local b = tensor.zeros({ 1 }, "bool")
    fails("the tensor is bool, which has no arithmetic", b.add, b, b)
    fails("bool, which has no arithmetic", function() return -b end)
  end)

  it("functions of one element", function()
    for_all(dtypes, function(t, dtype)
      local functions = { abs = math.abs, floor = math.floor, ceil = math.ceil, round = math.floor }
      if is_float[dtype] then
        functions.sqrt, functions.exp, functions.log = math.sqrt, math.exp, math.log
      end
      for name, f in pairs(functions) do
        local kept, expected = t:clone(), t:clone()
        assert.equal(t, t[name](t))
        each(kept, function(index, x) put(expected, index, f(x)) end)
        assert.is_true(tensor.allclose(t, expected, 1e-6))
        t:copy(kept)
      end
    end)
    assert.same({ 1.5, 0 }, tensor.from({ -1.5, -0.0 }):abs():totable())
    assert.same({ -2, 1, 2, 3, -3 }, tensor.from({ -1.5, 1.2, 1.5, 2.5, -2.5 }):round():totable())
    assert.same({ -2, 1 }, tensor.from({ -1.5, 1.2 }):floor():totable())
    assert.same({ math.mininteger, 3 }, tensor.from({ math.mininteger, -3 }, "i64"):abs():totable())
    assert.same({ 8, 9 }, tensor.from({ 2, 3 }):pow(tensor.from { 3, 2 }):totable())
    assert.same({ 4, 9 }, tensor.from({ 2, 3 }, "f32"):pow(2):totable())
    fails("tensor:sqrt: the tensor is i64; f64 or f32", function() tensor.zeros({ 1 }, "i64"):sqrt() end)
    fails("tensor:pow: the tensor is i64", function() tensor.zeros({ 1 }, "i64"):pow(2) end)
    fails("tensor:exp: the tensor is bool", function() tensor.zeros({ 1 }, "bool"):exp() end)
  end)
end)

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

  it("keep not-a-number, and exactness", function()
    local t = tensor.from { 1, nan, 3, nan }
    assert.is_true(t:max() ~= t:max() and t:min() ~= t:min())
    assert.equal(2, t:argmax())
    assert.equal(2, t:argmin())
    assert.equal(1 << 53, tensor.from({ 1 << 53, 1, -1 }, "i64"):sum())
    assert.equal(math.mininteger, tensor.from({ math.maxinteger, 1 }, "i64"):sum())
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
      for _, n in ipairs { 0, 1, 2, 5, 63, 64, 65, 200, 1000 } do
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
    fails("tensor:sort: a tensor of %[2, 3%]; a vector", t.sort, t)
    fails("tensor:topk: k is 4; it is from 0 to the size of the last dimension, 3", t.topk, t, 4)
    fails("k is %-1", t.topk, t, -1)
    fails("k is nil", t.topk, t)
    fails("the tensor is a scalar", function() tensor.from(1):topk(1) end)
  end)
end)

describe("lists of rows", function()
  local lists = { {}, { 2 }, { 3, 1, 3 } }
  local function forms(list)
    return { list, tensor.from(list, "i64"), tensor.from(list, "i32"),
      tensor.zeros({ #list, 2 }, "i64"):select(2, 1):copy(tensor.from(list, "i64")) }
  end

  it("index gathers from every layout", function()
    for_all(all_dtypes, function(t)
      if t:dim() == 0 or #t < 3 then return end
      for _, list in ipairs(lists) do
        for _, rows in ipairs(forms(list)) do
          local size = t:size()
          size[1] = #list
          local found = t:index(rows)
          assert.same(size, found:size())
          for i, row in ipairs(list) do same_elements(t:narrow(1, row, 1), found:narrow(1, i, 1)) end
          for _, out in ipairs(layouts(tensor.zeros(size, t.dtype))) do
            assert.equal(out, t:index(rows, out))
            same_elements(found, out)
          end
        end
      end
    end)
  end)

  it("index_copy, index_add and index_fill write the rows, and repeated ones in order", function()
    for_all(dtypes, function(t, dtype)
      if t:dim() == 0 or #t < 3 then return end
      for _, list in ipairs(lists) do
        local size = t:size()
        size[1] = #list
        for _, source in ipairs(layouts(numbers(size, dtype, 3))) do
          for _, rows in ipairs(forms(list)) do
            for _, target in ipairs(layouts(t:clone())) do
              local expected = t:clone()
              for i, row in ipairs(list) do expected:narrow(1, row, 1):copy(source:narrow(1, i, 1)) end
              assert.equal(target, target:index_copy(rows, source))
              same_elements(expected, target)
              for i, row in ipairs(list) do
                expected:narrow(1, row, 1):add(source:narrow(1, i, 1)):add(source:narrow(1, i, 1))
              end
              assert.equal(target, target:index_add(rows, source, 2))
              same_elements(expected, target)
              for _, row in ipairs(list) do expected:narrow(1, row, 1):fill(9) end
              assert.equal(target, target:index_fill(rows, 9))
              same_elements(expected, target)
            end
          end
        end
      end
    end)
  end)

  it("take the tensor itself as the source", function()
    local t = tensor.from { { 1, 1 }, { 2, 2 }, { 3, 3 } }
    t:index_copy({ 3, 2, 1 }, t)
    assert.same({ { 3, 3 }, { 2, 2 }, { 1, 1 } }, t:totable())
    t:index({ 3, 1, 2 }, t)
    assert.same({ { 1, 1 }, { 3, 3 }, { 2, 2 } }, t:totable())
  end)

  it("names what does not fit, before it writes", function()
    local t = tensor.zeros { 3, 2 }
    fails("tensor:index: index 4 at place 2 of the list; it is from 1 to 3", t.index, t, { 1, 4 })
    fails("index 0 at place 1", t.index, t, { 0 })
    fails("an index of the list is 1.5", t.index, t, { 1.5 })
    fails("an index of the list is a string", t.index, t, { "1" })
    fails("the indices are f64 of %[2%]; i64 or i32", t.index, t, tensor.zeros(2))
    fails("the indices are nil; a table or a tensor", t.index, t)
    fails("index_add: 2 indices of a tensor of %[3, 2%] and rows of %[1, 2%]", t.index_add, t, { 1, 2 },
      tensor.zeros { 1, 2 })
    fails("index 9 at place 2", t.index_add, t, { 1, 9 }, tensor.ones { 2, 2 })
    assert.equal(0.0, t:sum())
    fails("the tensor is a scalar", function() tensor.from(1):index { 1 } end)
  end)
end)

describe("comparing", function()
  it("equal is exact, allclose has tolerances", function()
    for_all(all_dtypes, function(t)
      for _, other in ipairs(layouts(t:clone())) do
        assert.is_true(tensor.equal(t, other))
        assert.is_true(t:equal(other))
        assert.is_true(tensor.allclose(t, other, 0, 0))
      end
      if t:numel() > 0 then
        local other = t:clone()
        local flat = other:view(t:numel())
        if t.dtype == "bool" then flat[#flat] = not flat[#flat] else flat[#flat] = flat[#flat] + 1 end
        assert.is_false(tensor.equal(t, other))
        assert.is_false(tensor.allclose(t, other))
      end
    end)
    assert.is_false(tensor.equal(tensor.zeros { 2 }, tensor.zeros { 1, 2 }))
    assert.is_false(tensor.equal(tensor.zeros { 2 }, tensor.zeros({ 2 }, "f32")))
    assert.is_false(tensor.equal(tensor.from { nan }, tensor.from { nan }))
    assert.is_true(tensor.equal(tensor.from { 0.0 }, tensor.from { -0.0 }))
    local function close(a, b, ...) return tensor.allclose(tensor.from { a }, tensor.from { b }, ...) end
    assert.is_true(close(1, 1 + 1e-6))
    assert.is_false(close(1, 1 + 1e-4))
    assert.is_true(close(1, 1.5, 0, 0.5))
    assert.is_true(close(inf, inf))
    assert.is_false(close(inf, -inf))
    assert.is_false(close(1, inf))
    assert.is_false(close(nan, nan))
    fails("the same shape is expected", tensor.allclose, tensor.zeros(2), tensor.zeros(3))
    fails("the tolerance is %-1", tensor.allclose, tensor.zeros(2), tensor.zeros(2), -1)
  end)
end)

describe("printing", function()
  it("shows shape, dtype and elements", function()
    assert.equal("tensor f64 [] 5", tostring(tensor.from(5)))
    assert.equal("tensor i32 [3] [ 1, 20, -3]", tostring(tensor.from({ 1, 20, -3 }, "i32")))
    assert.equal("tensor bool [2] [ true, false]", tostring(tensor.from({ true, false }, "bool")))
    assert.equal("tensor f64 [2, 2]\n[[  1,   2],\n [  3, nan]]", tostring(tensor.from { { 1, 2 }, { 3, nan } }))
    assert.equal("tensor f32 [0, 3]\n[]", tostring(tensor.zeros({ 0, 3 }, "f32")))
    assert.equal("tensor u8 [2, 1, 2]\n[[[1, 2]],\n [[3, 4]]]", tostring(tensor.arange(4, "u8"):view(2, 1, 2)))
  end)

  it("leaves out the middle of long ones", function()
    assert.equal("tensor i64 [2000] [   1,    2,    3, ..., 1998, 1999, 2000]",
      tostring(tensor.arange(2000, "i64")))
    assert.equal("tensor i64 [501, 2]\n[[   1,    2],\n [   3,    4],\n [   5,    6],\n ...,\n [ 997,  998]," ..
      "\n [ 999, 1000],\n [1001, 1002]]", tostring(tensor.arange(1002, "i64"):view(501, 2)))
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
