-- Products and solvers, against plain loops, for every dtype and every kind of view.
local lk = require "lkrun"
local tensor, linalg = lk.tensor, lk.linalg

local dtypes = { "f64", "f32", "i64", "i32", "u8" }
local floats = { "f64", "f32" }

-- The same small integers in every dtype, so that sums are exact in all of them.
local function numbers(size, dtype, seed)
  local t = tensor.zeros(size, dtype)
  local flat = t:view(t:numel())
  for i = 1, #flat do flat[i] = (i * 7 + seed * 3) % 6 end
  return t
end

-- Views of an [m, n] matrix that hold the same values at other strides.
local function layouts(m)
  local rows, columns = m:size(1), m:size(2)
  local wide = tensor.full({ rows + 2, columns + 3 }, 9, m.dtype)
  local inner = wide:narrow(1, 2, rows):narrow(2, 3, columns)
  inner:copy(m)
  local turned = tensor.full({ columns + 1, rows + 2 }, 9, m.dtype)
  local inner_turned = turned:narrow(1, 1, columns):narrow(2, 2, rows):t()
  inner_turned:copy(m)
  local deep = tensor.full({ rows, columns, 2 }, 9, m.dtype):select(3, 2)
  deep:copy(m)
  local result = { m, m:t():clone():t(), inner, inner_turned, deep }
  return result
end

local function vector_layouts(v)
  local spaced = tensor.full({ #v, 3 }, 9, v.dtype):select(2, 2)
  spaced:copy(v)
  local late = tensor.full({ #v + 4 }, 9, v.dtype):narrow(1, 3, #v)
  late:copy(v)
  return { v, spaced, late }
end

local wrap = {
  i64 = function(x) return x end,
  i32 = function(x) return (x + (1 << 31)) % (1 << 32) - (1 << 31) end,
  u8 = function(x) return x % 256 end,
  f64 = function(x) return x end,
  f32 = function(x) return x end,
}

local function naive_mm(a, b)
  local c = {}
  for i = 1, a:size(1) do
    c[i] = {}
    for j = 1, b:size(2) do
      local sum = 0
      for k = 1, a:size(2) do sum = sum + a:get(i, k) * b:get(k, j) end
      c[i][j] = wrap[a.dtype](sum)
    end
  end
  return c
end

local function naive_mv(a, v)
  local y = {}
  for i = 1, a:size(1) do
    local sum = 0
    for k = 1, a:size(2) do sum = sum + a:get(i, k) * v:get(k) end
    y[i] = wrap[a.dtype](sum)
  end
  return y
end

local shapes = {
  { 3, 4, 5 }, { 1, 4, 3 }, { 4, 1, 3 }, { 3, 4, 1 }, { 1, 1, 1 }, { 0, 3, 2 }, { 3, 0, 2 }, { 3, 2, 0 },
}

describe("products", function()
  for _, dtype in ipairs(dtypes) do
    it("mm and addmm agree with loops for every layout of " .. dtype, function()
      for _, s in ipairs(shapes) do
        local a, b = numbers({ s[1], s[2] }, dtype, 1), numbers({ s[2], s[3] }, dtype, 2)
        local expected = naive_mm(a, b)
        for _, x in ipairs(layouts(a)) do
          for _, y in ipairs(layouts(b)) do
            assert.same(expected, x:mm(y):totable())
            for _, out in ipairs(layouts(numbers({ s[1], s[3] }, dtype, 3))) do
              local before = out:totable()
              assert.equal(out, x:mm(y, out))
              assert.same(expected, out:totable())
              for i = 1, s[1] do
                for j = 1, s[3] do out:set(i, j, before[i][j]) end
              end
              out:addmm(x, y, 2, 3)
              for i = 1, s[1] do
                for j = 1, s[3] do
                  assert.equal(wrap[dtype](2 * expected[i][j] + 3 * before[i][j]), out:get(i, j))
                end
              end
            end
          end
        end
      end
    end)

    it("mv and addmv agree with loops for every layout of " .. dtype, function()
      for _, s in ipairs(shapes) do
        local a, v = numbers({ s[1], s[2] }, dtype, 1), numbers({ s[2] }, dtype, 2)
        local expected = naive_mv(a, v)
        for _, x in ipairs(layouts(a)) do
          for _, y in ipairs(vector_layouts(v)) do
            assert.same(expected, x:mv(y):totable())
            for _, out in ipairs(vector_layouts(numbers({ s[1] }, dtype, 3))) do
              local before = out:totable()
              assert.equal(out, x:mv(y, out))
              assert.same(expected, out:totable())
              for i = 1, s[1] do out[i] = before[i] end
              out:addmv(x, y, 2, 3)
              for i = 1, s[1] do
                assert.equal(wrap[dtype](2 * expected[i] + 3 * before[i]), out[i])
              end
            end
          end
        end
      end
    end)

    it("dot and axpy agree with loops for every layout of " .. dtype, function()
      for _, n in ipairs { 0, 1, 2, 17, 100 } do
        local x, y = numbers({ n }, dtype, 1), numbers({ n }, dtype, 2)
        for _, a in ipairs(vector_layouts(x)) do
          for _, b in ipairs(vector_layouts(y)) do
            local sum = 0
            for i = 1, n do sum = sum + a[i] * b[i] end
            assert.equal(sum, a:dot(b))
            local target = vector_layouts(y:clone())[2]
            assert.equal(target, target:axpy(3, a))
            for i = 1, n do assert.equal(wrap[dtype](y[i] + 3 * x[i]), target[i]) end
          end
        end
      end
      local m = numbers({ 4, 5 }, dtype, 1)
      for _, a in ipairs(layouts(m)) do
        local target = a:clone():t():clone():t()
        target:axpy(2, a)
        for i = 1, 4 do
          for j = 1, 5 do assert.equal(wrap[dtype](3 * m:get(i, j)), target:get(i, j)) end
        end
      end
    end)
  end

  it("keeps integers exact where a float would round, and wraps beyond the dtype", function()
    local big = (1 << 53) + 1
    assert.equal(big, tensor.from({ { big } }, "i64"):mv(tensor.from({ 1 }, "i64"))[1])
    assert.equal(big, tensor.from({ big }, "i64"):dot(tensor.from({ 1 }, "i64")))
    local i = tensor.from({ { math.maxinteger } }, "i64")
    assert.equal(-2, i:mm(tensor.from({ { 2 } }, "i64")):item())
    assert.equal(-(1 << 31), tensor.from({ { 1 << 30 } }, "i32"):mv(tensor.from({ 2 }, "i32"))[1])
    assert.equal(1 << 32, tensor.from({ 1 << 30 }, "i32"):dot(tensor.from({ 4 }, "i32")))
    assert.equal(144, tensor.from({ { 20 } }, "u8"):mv(tensor.from({ 20 }, "u8"))[1])
  end)

  it("takes expanded factors", function()
    for _, dtype in ipairs(dtypes) do
      local row, column = numbers({ 1, 4 }, dtype, 1), numbers({ 3, 1 }, dtype, 2)
      local wide, tall = row:expand { 3, 4 }, column:expand { 3, 4 }
      local v, b = numbers({ 4 }, dtype, 3), numbers({ 4, 2 }, dtype, 4)
      local one = v:narrow(1, 2, 1):expand { 4 }
      for _, a in ipairs { wide, tall, wide:t():t() } do
        assert.same(naive_mv(a, v), a:mv(v):totable())
        assert.same(naive_mv(a, one), a:mv(one):totable())
        assert.same(naive_mm(a, b), a:mm(b):totable())
        assert.same(naive_mm(a:t(), a), a:t():mm(a):totable())
        assert.same(naive_mm(a:t(), a), linalg.syrk(a):totable())
      end
      assert.equal(4 * one[1] * one[1], one:dot(one))
      local sum = v:clone():axpy(2, one)
      for i = 1, 4 do assert.equal(wrap[dtype](v[i] + 2 * one[1]), sum[i]) end
    end
  end)

  it("does not read what it overwrites", function()
    local a, v = numbers({ 3, 3 }, "f64", 1), numbers({ 3 }, "f64", 2)
    local out = tensor.full({ 3 }, 0 / 0)
    assert.same(a:mv(v):totable(), a:mv(v, out):totable())
    local square = tensor.full({ 3, 3 }, 0 / 0)
    assert.same(a:mm(a):totable(), a:mm(a, square):totable())
  end)

  it("takes a factor as the target", function()
    local a, v = numbers({ 3, 3 }, "f64", 1), numbers({ 3 }, "f64", 2)
    local expected, product = a:mv(v):totable(), a:mm(a):totable()
    assert.same(expected, a:mv(v, v):totable())
    assert.same(expected, v:totable())
    a:mm(a, a)
    assert.same(product, a:totable())
    local t = numbers({ 3, 3 }, "f64", 1)
    t:mm(t, t:t())
    assert.same(product, t:t():totable())
  end)

  it("gemv, gemm and syrk agree with mv and mm", function()
    for _, dtype in ipairs(dtypes) do
      local a, b = numbers({ 4, 3 }, dtype, 1), numbers({ 3, 5 }, dtype, 2)
      local v, c = numbers({ 3 }, dtype, 3), numbers({ 4, 5 }, dtype, 4)
      assert.same(a:mm(b):mm(tensor.ones({ 5, 1 }, dtype)):totable(),
        linalg.gemm(1, a, b):mm(tensor.ones({ 5, 1 }, dtype)):totable())
      local expected = c:clone():addmm(a, b, 2, 3):totable()
      assert.equal(c, linalg.gemm(2, a, b, 3, c))
      assert.same(expected, c:totable())
      assert.same(a:mv(v):totable(), linalg.gemv(1, a, v):totable())
      for _, x in ipairs(layouts(a)) do
        assert.same(a:t():mm(a):totable(), linalg.syrk(x):totable())
        local out = tensor.ones({ 3, 3 }, dtype):t()
        assert.equal(out, linalg.syrk(x, out))
        assert.same(a:t():mm(a):totable(), out:totable())
      end
    end
    assert.same({ { 0, 0 }, { 0, 0 } }, linalg.syrk(tensor.zeros { 0, 2 }):totable())
  end)

  it("names what does not fit", function()
    local a = tensor.ones { 2, 3 }
    assert.error_matches(function() a:mv(tensor.ones { 2 }) end, "tensor:mv: a tensor of %[2, 3%] times one of %[2%]")
    assert.error_matches(function() a:mv(tensor.ones { 3, 1 }) end, "times one of %[3, 1%]")
    assert.error_matches(function() a:mm(a) end, "tensor:mm: a tensor of %[2, 3%] times one of %[2, 3%]")
    assert.error_matches(function() a:mv(tensor.ones({ 3 }, "f32")) end, "f64 and one of f32")
    assert.error_matches(function() a:mv(tensor.ones { 3 }, tensor.ones { 3 }) end, "shape %[3%]; expected %[2%]")
    assert.error_matches(function() a:mv(tensor.ones { 3 }, tensor.ones({ 2 }, "f32")) end, "is f32; expected f64")
    assert.error_matches(function() a:mv(tensor.ones { 3 }, tensor.ones { 1 }:expand { 2 }) end, "was expanded")
    assert.error_matches(function() a:mv(3) end, "argument 2 is a number; expected a tensor")
    assert.error_matches(function() linalg.gemm(1, a, a:t(), 1) end, "a beta but no tensor")
    local flags = tensor.from({ { true } }, "bool")
    assert.error_matches(function() flags:mm(flags) end, "bool, which has no arithmetic")
    assert.error_matches(function() tensor.ones { 3 }:dot(tensor.ones { 2 }) end, "same shape")
    assert.error_matches(function() tensor.ones({ 1 }, "i32"):axpy(0.5, tensor.ones({ 1 }, "i32")) end,
      "0.5, which i32 cannot hold")
  end)
end)

describe("cholesky", function()
  -- A symmetric positive definite matrix of the dtype.
  local function definite(n, dtype)
    local a = tensor.zeros({ n + 2, n }, dtype)
    for i = 1, n + 2 do
      for j = 1, n do a:set(i, j, ((i * 7 + j * 5) % 11 - 5) / 4) end
    end
    local square = linalg.syrk(a)
    for i = 1, n do square:set(i, i, square:get(i, i) + 1) end
    return square
  end

  for _, dtype in ipairs(floats) do
    local near = dtype == "f64" and 1e-10 or 1e-3
    it("factors and solves for every layout of " .. dtype, function()
      for _, n in ipairs { 1, 2, 5, 20 } do
        local a = definite(n, dtype)
        for _, view in ipairs(layouts(a)) do
          local lower = linalg.cholesky(view)
          for i = 1, n do
            for j = i + 1, n do assert.equal(0.0, lower:get(i, j)) end
          end
          local back = lower:mm(lower:t())
          for i = 1, n do
            for j = 1, n do assert.near(a:get(i, j), back:get(i, j), near) end
          end
          for _, columns in ipairs { 0, 1, 3 } do
            local x = tensor.zeros(columns == 0 and { n } or { n, columns }, dtype)
            local flat = x:view(x:numel())
            for i = 1, #flat do flat[i] = i % 5 - 2 end
            local b = columns == 0 and a:mv(x) or a:mm(x)
            for _, side in ipairs(columns == 0 and vector_layouts(b) or layouts(b)) do
              local kept_side, kept_view = side:totable(), view:totable()
              for _, found in ipairs { linalg.cholesky_solve(view, side), linalg.potrs(lower, side) } do
                found = found:reshape(x:numel())
                for i = 1, #flat do assert.near(flat[i], found[i], near * 10) end
              end
              assert.same(kept_side, side:totable())
              assert.same(kept_view, view:totable())
            end
            for _, side in ipairs(columns == 0 and vector_layouts(b) or layouts(b)) do
              assert.equal(side, linalg.cholesky_solve(a:clone(), side, true))
              local found = side:reshape(x:numel())
              for i = 1, #flat do assert.near(flat[i], found[i], near * 10) end
            end
          end
        end
      end
    end)
  end

  it("reads the lower triangle only", function()
    local a = tensor.from { { 4, 99 }, { 2, 3 } }
    assert.same({ { 2, 0 }, { 1, math.sqrt(2) } }, linalg.cholesky(a):totable())
    assert.same({ { 2, 0 }, { 1, math.sqrt(2) } }, linalg.cholesky(tensor.from { { 4, 2 }, { 99, 3 } }:t()):totable())
  end)

  it("reads the same triangle whatever the strides", function()
    local a, b = tensor.from { { 4, 99 }, { 2, 3 } }, tensor.from { 8, 7 }
    for _, view in ipairs { a, a:t():clone():t(), tensor.zeros { 2, 2, 2 }:select(3, 1):copy(a) } do
      assert.is_true(tensor.allclose(tensor.from { 1.25, 1.5 }, linalg.cholesky_solve(view, b)))
      assert.is_true(tensor.allclose(tensor.from { 1.25, 1.5 }, linalg.cholesky_solve(view, b:clone(), true)))
    end
    local lower = tensor.from { { 2, 99 }, { 1, math.sqrt(2) } }
    for _, view in ipairs { lower, lower:t():clone():t(), tensor.zeros { 2, 2, 2 }:select(3, 1):copy(lower) } do
      assert.is_true(tensor.allclose(tensor.from { 1.25, 1.5 }, linalg.potrs(view, b)))
    end
  end)

  it("names the pivot of a matrix that is not positive definite", function()
    local a = tensor.from { { 1, 0, 0 }, { 0, -1, 0 }, { 0, 0, 1 } }
    assert.error_matches(function() linalg.cholesky(a) end, "not positive definite: pivot 2 of 3")
    assert.error_matches(function() linalg.cholesky_solve(a, tensor.ones { 3 }) end, "pivot 2 of 3")
    local nan = tensor.from { { 1, 0 }, { 0 / 0, 1 } }
    assert.error_matches(function() linalg.cholesky(nan) end, "pivot 2 of 2")
  end)

  it("takes empty systems", function()
    assert.same({}, linalg.cholesky(tensor.zeros { 0, 0 }):totable())
    assert.same({}, linalg.cholesky_solve(tensor.zeros { 0, 0 }, tensor.zeros { 0 }):totable())
  end)

  it("names what does not fit", function()
    assert.error_matches(function() linalg.cholesky(tensor.ones { 2, 3 }) end, "expected a square matrix")
    assert.error_matches(function() linalg.cholesky(tensor.ones({ 2, 2 }, "i64")) end, "expected f64 or f32")
    assert.error_matches(function() linalg.cholesky_solve(definite(2, "f64"), tensor.ones { 3 }) end,
      "right sides of %[3%]")
    local a = definite(2, "f64")
    assert.error_matches(function() linalg.cholesky_solve(a, a, true) end, "share memory")
  end)
end)
