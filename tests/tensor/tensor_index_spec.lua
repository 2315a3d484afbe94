-- Rows picked by lists of indices.
-- runs under: thread
local tensor = require("lkrun").tensor
local cases = require "tests.tensor.tensor_cases"

local dtypes = cases.dtypes
local all_dtypes = cases.all_dtypes
local numbers = cases.numbers
local layouts = cases.layouts
local for_all = cases.for_all
local same_elements = cases.same_elements
local fails = cases.fails

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
        local sources, targets, kinds = layouts(numbers(size, dtype, 3)), layouts(t:clone()), forms(list)
        for n = 1, math.max(#targets, #kinds) do
          local source, target, rows = sources[n % #sources + 1], targets[n % #targets + 1], kinds[n % #kinds + 1]
          target:copy(t)
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
    fails("tensor:index: index 4 at place 2 of the list; expected from 1 to 3", t.index, t, { 1, 4 })
    fails("index 0 at place 1", t.index, t, { 0 })
    fails("an index of the list is 1.5", t.index, t, { 1.5 })
    fails("an index of the list is a string", t.index, t, { "1" })
    fails("the indices are f64 of %[2%]; expected i64 or i32", t.index, t, tensor.zeros(2))
    fails("the indices are nil; expected a table or a tensor", t.index, t)
    fails("index_add: 2 indices of a tensor of %[3, 2%] and rows of %[1, 2%]", t.index_add, t, { 1, 2 },
      tensor.zeros { 1, 2 })
    fails("index 9 at place 2", t.index_add, t, { 1, 9 }, tensor.ones { 2, 2 })
    assert.equal(0.0, t:sum())
    fails("the tensor is a scalar", function() tensor.from(1):index { 1 } end)
  end)
end)
