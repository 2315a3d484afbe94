-- Matrices of the rows of others: index, stack, prune; against tables of entries.
-- runs under: thread
local lk = require "lkrun"
local sparse, tensor = lk.sparse, lk.tensor

local function random_matrix(stream, m, n, count, dtype)
  local rows, columns, values = {}, {}, {}
  for i = 1, count do
    rows[i], columns[i], values[i] = stream:integer(1, m), stream:integer(1, n), stream:integer(-4, 4)
  end
  return sparse.csr(rows, columns, tensor.from(values, dtype), { m, n })
end

-- Every row as {columns, values}.
local function rows_of(matrix)
  local rows = {}
  for i, columns, values in matrix:rows() do rows[i] = { columns:totable(), values:totable() } end
  return rows
end

describe("sparse:index", function()
  it("gives rows in any order and repeated, of both dtypes", function()
    local stream = lk.random.stream(1)
    for _, dtype in ipairs { "f64", "f32" } do
      local a = random_matrix(stream, 6, 9, 25, dtype)
      local rows = rows_of(a)
      for _, list in ipairs { { 6, 1, 1, 3 }, tensor.from({ 2, 5 }, "i32"), {}, { 4 } } do
        local picked, expected = a:index(list), {}
        for i = 1, #list do expected[i] = rows[list[i]] end
        assert.same({ #list, 9 }, picked:size())
        assert.equal(dtype, picked.dtype)
        assert.same(expected, rows_of(picked))
      end
    end
  end)

  it("copies", function()
    local a = sparse.csr({ 1 }, { 1 }, { 1 }, { 1, 1 })
    a:index({ 1 }):values():fill(7)
    assert.same({ 1 }, a:values():totable())
  end)

  it("names what is wrong", function()
    local a = sparse.csr({ 1 }, { 1 }, { 1 }, { 2, 3 })
    assert.error_matches(function() a:index { 1, 3 } end,
      "sparse:index: index 3 at place 2 of the list; expected from 1 to 2")
    assert.error_matches(function() a:index(1) end, "the indices are a number")
    assert.error_matches(function() a:index(tensor.ones { 1 }) end, "i64 or i32 of one dimension")
  end)
end)

describe("sparse.stack", function()
  it("puts matrices below each other", function()
    local stream = lk.random.stream(2)
    for _, dtype in ipairs { "f64", "f32" } do
      local parts, expected = {}, {}
      for i, m in ipairs { 3, 0, 1, 5 } do
        parts[i] = random_matrix(stream, m, 7, m * 3, dtype)
        for _, row in ipairs(rows_of(parts[i])) do expected[#expected + 1] = row end
      end
      local whole = sparse.stack(parts)
      assert.same({ 9, 7 }, whole:size())
      assert.same(expected, rows_of(whole))
      assert.same(rows_of(parts[1]), rows_of(sparse.stack { parts[1] }))
    end
  end)

  it("names what is wrong", function()
    local a, b = sparse.csr({}, {}, {}, { 1, 2 }), sparse.csr({}, {}, {}, { 1, 3 })
    assert.error_matches(function() sparse.stack { a, b } end,
      "lk.sparse.stack: %[2%] is f64 with 3 columns; expected f64 with 2, as %[1%]")
    local c = sparse.csr({}, {}, tensor.ones({ 0 }, "f32"), { 1, 2 })
    assert.error_matches(function() sparse.stack { a, c } end, "%[2%] is f32 with 2 columns")
    assert.error_matches(function() sparse.stack { a, 5 } end, "%[2%] is a number; expected a sparse matrix")
    assert.error_matches(function() sparse.stack {} end, "an empty table")
    assert.error_matches(function() sparse.stack(a) end, "the argument is")
  end)
end)

describe("sparse:prune", function()
  it("leaves the greatest of each row, of equal ones those of the lower columns", function()
    local stream = lk.random.stream(3)
    for _, dtype in ipairs { "f64", "f32" } do
      local a = random_matrix(stream, 8, 12, 60, dtype)
      for _, keep in ipairs { 0, 1, 3, 100 } do
        for _, least in ipairs { -100, 0.5, 2, 100 } do
          local expected = {}
          for i, row in ipairs(rows_of(a)) do
            local left = {}
            for k, column in ipairs(row[1]) do
              if row[2][k] >= least then left[#left + 1] = { column = column, value = row[2][k] } end
            end
            table.sort(left, function(x, y)
              if x.value ~= y.value then return x.value > y.value end
              return x.column < y.column
            end)
            left = table.move(left, 1, math.min(keep, #left), 1, {})
            table.sort(left, function(x, y) return x.column < y.column end)
            expected[i] = { {}, {} }
            for k, entry in ipairs(left) do expected[i][1][k], expected[i][2][k] = entry.column, entry.value end
          end
          assert.same(expected, rows_of(a:prune(least, keep)))
        end
      end
      assert.same(rows_of(a), rows_of(a:prune(-math.huge)))
    end
  end)

  it("drops what is not a number", function()
    local a = sparse.csr({ 1, 1, 1 }, { 1, 2, 3 }, { 0 / 0, -math.huge, 1 }, { 1, 3 })
    assert.same({ { { 2, 3 }, { -math.huge, 1 } } }, rows_of(a:prune(-math.huge)))
    assert.same({ { { 3 }, { 1 } } }, rows_of(a:prune(-math.huge, 1)))
  end)

  it("names what is wrong", function()
    local a = sparse.csr({}, {}, {}, { 1, 2 })
    assert.error_matches(function() a:prune() end, "sparse:prune: the least value to keep")
    assert.error_matches(function() a:prune(0, -1) end, "%-1 entries of each row to keep; expected 0 or more")
    assert.error_matches(function() a:prune(0, 1.5) end, "the number of entries to keep")
  end)
end)

describe("sparse:topk and gather", function()
  it("give the greatest entries of each row, and the entries of given columns", function()
    local stream = lk.random.stream(4)
    for _, dtype in ipairs { "f64", "f32" } do
      local a = random_matrix(stream, 7, 9, 30, dtype)
      local dense = a:todense()
      for _, k in ipairs { 0, 1, 4, 9 } do
        local values, columns = a:topk(k)
        assert.equal(dtype, values.dtype)
        for row, of_row, entries in a:rows() do
          local order = entries:argsort(true)
          for i = 1, k do
            local place = i <= #entries and order[i]
            assert.equal(place and of_row[place] or 0, columns:get(row, i))
            assert.equal(place and entries[place] or 0, values:get(row, i))
          end
        end
        assert.is_true(values:equal(a:gather(columns)))
      end
      local wanted = tensor.zeros({ 7, 5 }, "i32")
      for row = 1, 7 do
        for i = 1, 5 do wanted:set(row, i, stream:integer(0, 9)) end
      end
      for _, columns in ipairs { wanted, wanted:to "i64", wanted:t():clone():t() } do
        local values = a:gather(columns)
        for row = 1, 7 do
          for i = 1, 5 do
            local column = columns:get(row, i)
            assert.equal(column > 0 and dense:get(row, column) or 0, values:get(row, i))
          end
        end
      end
    end
  end)

  it("take empty matrices", function()
    local a = sparse.csr({}, {}, {}, { 2, 3 })
    assert.same({ { 0, 0 }, { 0, 0 } }, (a:topk(2)):totable())
    assert.same({ { 0 }, { 0 } }, a:gather(tensor.ones({ 2, 1 }, "i64")):totable())
    assert.same({ 2, 0 }, a:gather(tensor.ones({ 2, 0 }, "i64")):size())
  end)

  it("name what is wrong", function()
    local a = sparse.csr({ 1 }, { 1 }, { 1 }, { 2, 3 })
    assert.error_matches(function() a:topk(4) end, "sparse:topk: k is 4; expected from 0 to the number of columns, 3")
    assert.error_matches(function() a:gather(tensor.full({ 2, 1 }, 4, "i64")) end,
      "sparse:gather: column 4 in row 1; expected from 1 to 3, or 0 for none")
    assert.error_matches(function() a:gather(tensor.ones { 2, 1 }) end,
      "the columns are f64 of %[2, 1%]; expected i64 or i32")
    assert.error_matches(function() a:gather(tensor.ones({ 3, 1 }, "i64")) end, "i64 or i32 of %[2, n%]")
  end)
end)
