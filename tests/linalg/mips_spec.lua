-- Maximum inner product search: lk.linalg.mips.
local lk = require "lkrun"
local cases = require "tests.tensor.tensor_cases"
local tensor, mips = lk.tensor, lk.linalg.mips

local stream = lk.random.stream(23)

-- Small integers, so that products are exact and many of them equal.
local function small_integers(rows, columns, dtype)
  local t = tensor.zeros({ rows, columns }, dtype)
  for i = 1, rows do
    for k = 1, columns do t:set(i, k, stream:integer(-2, 2)) end
  end
  return t
end

-- The plain definition: all products of a query, in order, then -inf and 0.
local function plainly(a, b, k, options)
  local values, indices = {}, {}
  local rows = options.rows or tensor.arange(a:size(1), "i64"):totable()
  local among = options.among or tensor.arange(b:size(1), "i64"):totable()
  local x, y = a:totable(), b:totable()
  for q, row in ipairs(rows) do
    local excluded, found = {}, {}
    if options.exclude then
      for _, column in ipairs(options.exclude:row(row):totable()) do excluded[column] = true end
    end
    for _, column in ipairs(among) do
      local product = 0.0
      for d = 1, a:size(2) do product = product + x[row][d] * y[column][d] end
      if not excluded[column] and product > -math.huge then
        found[#found + 1] = { product = product, index = column }
      end
    end
    table.sort(found, function(f, g)
      if f.product ~= g.product then return f.product > g.product end
      return f.index < g.index
    end)
    values[q], indices[q] = {}, {}
    for place = 1, k do
      values[q][place] = found[place] and found[place].product or -math.huge
      indices[q][place] = found[place] and found[place].index or 0
    end
  end
  return values, indices
end

local function check(a, b, k, options)
  local values, indices = mips(a, b, k, options)
  local expected, places = plainly(a, b, k, options or {})
  assert.same(places, indices:totable())
  assert.same(expected, values:totable())
  assert.same({ a.dtype, "i64" }, { values.dtype, indices.dtype })
end

-- A sparse matrix with about one in `every` of the entries, and with all those of row 1.
local function some_entries(rows, columns, every)
  local row_of, column_of = {}, {}
  for row = 1, rows do
    for column = 1, columns do
      if row == 1 or stream:integer(1, every) == 1 then
        row_of[#row_of + 1], column_of[#column_of + 1] = row, column
      end
    end
  end
  return lk.sparse.csr(row_of, column_of, tensor.ones { #row_of }, { rows, columns })
end

local function every_third(count)
  local list = {}
  for i = 1, count, 3 do list[#list + 1] = i end
  return list
end

describe("lk.linalg.mips", function()
  for _, dtype in ipairs { "f32", "f64" } do
    it("gives what sorting all products gives, for " .. dtype, function()
      -- More queries than a block has, more vectors than a tile has, and a few of either.
      for _, shape in ipairs { { 3, 900, 2 }, { 400, 30, 1 }, { 5, 385, 3 }, { 2, 1, 4 }, { 1, 64, 8 } } do
        local m, n, d = table.unpack(shape)
        local a, b = small_integers(m, d, dtype), small_integers(n, d, dtype)
        local exclude = some_entries(m, n, 4)
        for _, k in ipairs { 1, 7, n, n + 3 } do
          if m * k < 4000 then
            check(a, b, k)
            check(a, b, k, { exclude = exclude })
            check(a, b, k, { among = every_third(n) })
            check(a, b, k, { rows = { m, 1, m }, among = every_third(n), exclude = exclude })
          end
        end
      end
    end)

    it("takes views of any strides, for " .. dtype, function()
      local a, b = small_integers(4, 3, dtype), small_integers(70, 3, dtype)
      for _, queries in ipairs(cases.layouts(a)) do
        for _, vectors in ipairs(cases.layouts(b)) do
          check(queries, vectors, 5)
          check(queries, vectors, 5, { among = every_third(70) })
        end
      end
      check(small_integers(1, 3, dtype):expand(6, 3), b, 2)
    end)

    it("writes into tensors of the caller's, which may be views, for " .. dtype, function()
      local a, b = small_integers(6, 3, dtype), small_integers(50, 3, dtype)
      local values = tensor.full({ 4, 8 }, 7, dtype)
      local indices = tensor.full({ 4, 8 }, 7, "i64")
      local v, i = mips(a, b, 4, {
        rows = tensor.from({ 2, 5, 6 }, "i32"), among = tensor.arange(50, "i32"),
        values = values:t():narrow(1, 3, 4):t():narrow(1, 2, 3), indices = indices:narrow(2, 5, 4):narrow(1, 1, 3),
      })
      local expected, places = plainly(a, b, 4, { rows = { 2, 5, 6 } })
      assert.same(expected, v:totable())
      assert.same(places, i:totable())
      assert.same(expected[1], values[2]:narrow(1, 3, 4):totable())
      assert.same({ 7, 7 }, values[2]:narrow(1, 1, 2):totable())
      assert.same({ 7, 7, 7, 7 }, values[1]:narrow(1, 3, 4):totable())
      assert.same(places[3], indices[3]:narrow(1, 5, 4):totable())
    end)

    it("never finds what is not a number, or -inf, for " .. dtype, function()
      local inf, nan = math.huge, 0 / 0
      local b = tensor.full({ 500, 1 }, nan, dtype)
      b:narrow(1, 300, 5):copy(tensor.from({ { 1 }, { inf }, { -inf }, { -0.0 }, { -2 } }, dtype))
      local values, indices = mips(tensor.from({ { 2 }, { nan } }, dtype), b, 6)
      assert.same({ { 301, 300, 303, 304, 0, 0 }, { 0, 0, 0, 0, 0, 0 } }, indices:totable())
      assert.same({ inf, 2, 0, -4, -inf, -inf }, values[1]:totable())
    end)
  end

  it("has nothing to find in nothing", function()
    local a = tensor.ones({ 2, 3 }, "f32")
    assert.same({ { 0, 0 }, { 0, 0 } }, select(2, mips(a, tensor.ones({ 0, 3 }, "f32"), 2)):totable())
    assert.same({ { 0 }, { 0 } }, select(2, mips(a, tensor.ones({ 5, 3 }, "f32"), 1, { among = {} })):totable())
    assert.same({ 0, 4 }, mips(a, tensor.ones({ 5, 3 }, "f32"), 4, { rows = {} }):size())
    assert.same({ 2, 0 }, mips(a, tensor.ones({ 5, 3 }, "f32"), 0):size())
    check(tensor.ones { 2, 0 }, tensor.ones { 400, 0 }, 3)
  end)

  it("gives the same for queries together and in parts", function()
    local a, b = tensor.randn({ 800, 16 }, "f32"), tensor.randn({ 1000, 16 }, "f32")
    local values, indices = mips(a, b, 20)
    for first = 1, 800, 400 do
      local rows = tensor.arange(first, first + 399, "i64")
      local some, places = mips(a, b, 20, { rows = rows })
      assert.is_true(places:equal(indices:narrow(1, first, 400)))
      assert.is_true(some:allclose(values:narrow(1, first, 400)))
    end
    local expected, sorted = a:mm(b:t()):topk(20)
    assert.is_true(expected:allclose(values, 1e-5, 1e-5))
    assert.is_true(sorted:equal(indices))
  end)

  it("is not led out of the vectors by a matrix that was written to", function()
    local exclude = lk.sparse.csr({ 1, 1, 1 }, { 1, 2, 3 }, { 1, 1, 1 }, { 1, 400 })
    exclude:row(1):copy(tensor.from({ -5, 2 ^ 30 // 1 | 0, 7 }, "i32"))
    local a, b = tensor.ones { 1, 1 }, tensor.ones { 400, 1 }
    assert.same({ { 1, 2 } }, select(2, mips(a, b, 2, { exclude = exclude })):totable())
  end)

  it("names what does not fit", function()
    local fails = cases.fails
    local a, b = tensor.zeros { 2, 3 }, tensor.zeros { 4, 3 }
    fails("lk.linalg.mips: queries of %[2, 3%] and vectors of %[3, 4%]; expected %[m, d%] and %[n, d%]",
      mips, a, b:t(), 1)
    fails("a tensor of f64 and one of f32; expected the same dtype", mips, a, b:to "f32", 1)
    fails("the vectors are i64; expected f64 or f32", mips, a:to "i64", b:to "i64", 1)
    fails("k is %-1; expected 0 or more", mips, a, b, -1)
    fails("k is nil", mips, a, b)
    fails("the options are a string", mips, a, b, 1, "x")
    fails("unknown option 'row' "
      .. "%(did you mean 'rows'%?%); there are rows, among, exclude, values, indices", mips, a, b, 1, { row = {} })
    fails("index 3 at place 1 of the list; expected from 1 to 2", mips, a, b, 1, { rows = { 3 } })
    fails("index 5 at place 2 of the list; expected from 1 to 4", mips, a, b, 1, { among = { 1, 5 } })
    fails("index 2 of `among` comes after 2; expected in ascending order", mips, a, b, 1, { among = { 2, 2 } })
    fails("`exclude` is %[1, 1%]; expected %[2, 4%]", mips, a, b, 1, { exclude = lk.sparse.csr({}, {}, {}, { 1, 1 }) })
    fails("`exclude` is a tensor; expected a sparse matrix", mips, a, b, 1, { exclude = a })
    fails("the shape %[2, 2%]; expected %[2, 1%]", mips, a, b, 1, { values = tensor.zeros { 2, 2 } })
    fails("shares its memory with what is read", mips, a, b, 3, { values = a })
    fails("result is f64; expected i64", mips, a, b, 1, { indices = tensor.zeros { 2, 1 } })
  end)
end)
