-- Tensors compared and printed.
-- runs under: thread
local tensor = require("lkrun").tensor
local cases = require "tests.tensor.tensor_cases"

local all_dtypes, layouts, for_all, fails = cases.all_dtypes, cases.layouts, cases.for_all, cases.fails
local nan, inf = 0 / 0, math.huge

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
    fails("expected the same shape", tensor.allclose, tensor.zeros(2), tensor.zeros(3))
    fails("the tolerance is %-1", tensor.allclose, tensor.zeros(2), tensor.zeros(2), -1)
  end)
end)

describe("printing", function()
  it("shows shape, dtype and elements", function()
    assert.equal("tensor f64 [] 5.0", tostring(tensor.from(5)))
    assert.equal("tensor i32 [3] [ 1, 20, -3]", tostring(tensor.from({ 1, 20, -3 }, "i32")))
    assert.equal("tensor bool [2] [ true, false]", tostring(tensor.from({ true, false }, "bool")))
    assert.equal("tensor f64 [2, 2]\n[[1.0, 2.0],\n [3.0, nan]]", tostring(tensor.from { { 1, 2 }, { 3, nan } }))
    assert.equal("tensor f32 [0, 3] []", tostring(tensor.zeros({ 0, 3 }, "f32")))
    assert.equal("tensor u8 [2, 1, 2]\n[[[1, 2]],\n\n [[3, 4]]]", tostring(tensor.arange(4, "u8"):view(2, 1, 2)))
  end)

  it("leaves out the middle of long ones", function()
    assert.equal("tensor i64 [2000] [   1,    2,    3, ..., 1998, 1999, 2000]",
      tostring(tensor.arange(2000, "i64")))
    assert.equal("tensor i64 [501, 2]\n[[   1,    2],\n [   3,    4],\n [   5,    6],\n ...,\n [ 997,  998]," ..
      "\n [ 999, 1000],\n [1001, 1002]]", tostring(tensor.arange(1002, "i64"):view(501, 2)))
  end)
end)
