-- Arithmetic of tensors, against plain loops.
-- runs under: thread
local tensor = require("lkrun").tensor
local cases = require "tests.tensor.tensor_cases"

local dtypes = cases.dtypes
local is_float = cases.is_float
local wrap = cases.wrap
local each = cases.each
local put = cases.put
local numbers = cases.numbers
local layouts = cases.layouts
local for_all = cases.for_all
local same_elements = cases.same_elements
local fails = cases.fails
local inf = math.huge

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
    fails("tensor:add: a tensor of %[2, 3%] and one of %[3%]; expected the same shape", t.add, t, tensor.zeros { 3 })
    fails("tensor:mul: a tensor of f64 and one of f32; expected the same dtype",
      t.mul, t, tensor.zeros({ 2, 3 }, "f32"))
    local i = tensor.zeros({ 1 }, "i32")
    fails("lkrun: i32 tensor %* 0.5: i32 cannot hold 0.5; convert the tensor first, as with to%('f64'%)$",
      function() return i * 0.5 end)
    fails("lkrun: 0.5 %- i32 tensor: i32 cannot hold 0.5", function() return 0.5 - i end)
    fails("lkrun: i32 tensor // 1099511627776: i32 cannot hold 1099511627776", function() return i // (1 << 40) end)
    fails("lkrun: i32 tensor %+ f64 tensor: a tensor of i32 and one of f64; expected the same",
      function() return i + t end)
    fails("lkrun: f64 tensor / a table: the value is a table; expected a number", function() return i / {} end)
    fails("lkrun: tensor %- tensor: a tensor of %[1%] and one of %[2, 3%]; expected the same shape",
      function() return i:to "f64" - t end)
    fails("lkrun: f64 tensor %+ '1': the value is a string", function() return t + "1" end)
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
    fails("tensor:sqrt: the tensor is i64; expected f64 or f32", function() tensor.zeros({ 1 }, "i64"):sqrt() end)
    fails("tensor:pow: the tensor is i64", function() tensor.zeros({ 1 }, "i64"):pow(2) end)
    fails("tensor:exp: the tensor is bool", function() tensor.zeros({ 1 }, "bool"):exp() end)
  end)
end)
