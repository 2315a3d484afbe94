-- Compressed sparse rows, against dense loops.
-- runs under: thread, valgrind
local lk = require "lkrun"
local tensor, sparse = lk.tensor, lk.sparse

-- Triplets with repeated places, unsorted, some rows and columns without entries.
local function triplets(m, n, count, seed)
  local rows, columns, values, state = {}, {}, {}, seed
  local function draw(limit)
    state = (state * 1103515245 + 12345) & 0x7fffffff
    return (state >> 8) % limit + 1
  end
  for i = 1, count do
    rows[i], columns[i], values[i] = draw((m + 1) // 2) * 2 - 1, draw(n), draw(9) - 5
  end
  return rows, columns, values
end

local function dense_of(m, n, rows, columns, values, dtype)
  local d = tensor.zeros({ m, n }, dtype)
  for i = 1, #rows do d:set(rows[i], columns[i], d:get(rows[i], columns[i]) + values[i]) end
  return d
end

local shapes = { { 5, 7, 20 }, { 1, 1, 3 }, { 40, 3, 60 }, { 3, 40, 9 }, { 4, 4, 0 } }

describe("sparse.csr", function()
  for _, dtype in ipairs { "f64", "f32" } do
    it("sums duplicates and agrees with a dense matrix of " .. dtype, function()
      for seed, s in ipairs(shapes) do
        local m, n = s[1], s[2]
        local rows, columns, values = triplets(m, n, s[3], seed)
        local d = dense_of(m, n, rows, columns, values, dtype)
        local forms = { sparse.csr(rows, columns, tensor.from(values, dtype), { m, n }),
          sparse.csr(tensor.from(rows, "i32"), tensor.from(columns, "i64"), tensor.from(values, dtype), { m, n }) }
        for _, a in ipairs(forms) do
          assert.equal(dtype, a.dtype)
          assert.same({ m, n }, a:size())
          assert.same(d:totable(), a:todense():totable())
          assert.same(d:t():totable(), a:t():todense():totable())
          assert.same({ n, m }, a:t():size())
          assert.equal(a.nnz, a:t().nnz)
        end
      end
    end)

    it("mv and mm agree with the dense product for every layout of " .. dtype, function()
      for seed, s in ipairs(shapes) do
        local m, n = s[1], s[2]
        local rows, columns, values = triplets(m, n, s[3], seed)
        local a = sparse.csr(rows, columns, tensor.from(values, dtype), { m, n })
        local d = a:todense()
        local v = tensor.arange(n, dtype)
        local spaced = tensor.zeros({ n, 2 }, dtype):select(2, 2):copy(v)
        for _, x in ipairs { v, spaced, tensor.ones({ 1 }, dtype):expand { n } } do
          assert.same(d:mv(x):totable(), a:mv(x):totable())
          local out = tensor.full({ m, 2 }, 0 / 0, dtype):select(2, 1)
          assert.equal(out, a:mv(x, out))
          assert.same(d:mv(x):totable(), out:totable())
        end
        local u = tensor.arange(n * 3, dtype):view(n, 3)
        for _, x in ipairs { u, u:t():clone():t(), u:narrow(2, 2, 0), u:narrow(2, 2, 2) } do
          assert.same(d:mm(x):totable(), a:mm(x):totable())
          local out = tensor.full({ x:size(2), m }, 0 / 0, dtype):t()
          assert.equal(out, a:mm(x, out))
          assert.same(d:mm(x):totable(), out:totable())
        end
      end
    end)
  end

  it("shows rows as views with columns from 1, ascending", function()
    local a = sparse.csr({ 3, 1, 3, 3 }, { 4, 2, 1, 4 }, { 1, 2, 3, 10 }, { 4, 5 })
    assert.equal(3, a.nnz)
    local columns, values = a:row(3)
    assert.same({ 1, 4 }, columns:totable())
    assert.same({ 3, 11 }, values:totable())
    values[2] = 7
    assert.equal(7.0, a:todense():get(3, 4))
    assert.equal(0, #a:row(2))
    assert.equal(0, #a:row(4))
    local seen = {}
    for i, c, v in a:rows() do seen[i] = { c:totable(), v:totable() } end
    assert.same({ { { 2 }, { 2 } }, { {}, {} }, { { 1, 4 }, { 3, 7 } }, { {}, {} } }, seen)
    a:values():mul(2)
    assert.equal(14.0, a:todense():get(3, 4))
  end)

  it("gives back its triplets", function()
    local a = sparse.csr({ 3, 1, 3 }, { 4, 2, 1 }, { 1, 2, 3 }, { 4, 5 })
    local rows, columns, values = a:triplets()
    assert.same({ 1, 3, 3 }, rows:totable())
    assert.same({ 2, 1, 4 }, columns:totable())
    assert.same({ 2, 3, 1 }, values:totable())
    assert.same(a:todense():totable(), sparse.csr(rows, columns, values, a:size()):todense():totable())
  end)

  it("takes empty matrices", function()
    for _, size in ipairs { { 0, 0 }, { 0, 3 }, { 3, 0 }, { 2, 2 } } do
      local a = sparse.csr({}, {}, {}, size)
      assert.equal(0, a.nnz)
      assert.same(size, a:size())
      assert.same({ size[2], size[1] }, a:t():size())
      assert.equal(size[1], #a:mv(tensor.ones { size[2] }))
      for i = 1, size[1] do assert.equal(0, #a:row(i)) end
    end
  end)

  it("keeps the order of the lists when it sums", function()
    local a = sparse.csr({ 1, 1, 1 }, { 1, 1, 1 }, { 1e100, 1, -1e100 }, { 1, 1 })
    assert.equal(0.0, a:todense():item())
    a = sparse.csr({ 1, 1, 1, 1 }, { 2, 1, 1, 1 }, { 5, 1e100, -1e100, 1 }, { 1, 2 })
    assert.same({ { 1, 5 } }, a:todense():totable())
    a = sparse.csr({ 1, 1, 1, 1 }, { 2, 1, 1, 1 }, { 5, 1, -1e100, 1e100 }, { 1, 2 })
    assert.same({ { 0, 5 } }, a:todense():totable())
  end)

  it("names what is wrong", function()
    local function fails(pattern, ...)
      local arguments = table.pack(...)
      assert.error_matches(function() sparse.csr(table.unpack(arguments, 1, arguments.n)) end, pattern)
    end
    fails("lk.sparse.csr: entry 2 is in row 4; expected from 1 to 3", { 1, 4 }, { 1, 1 }, { 1, 1 }, { 3, 3 })
    fails("entry 1 is in column 0; expected from 1 to 3", { 1 }, { 0 }, { 1 }, { 3, 3 })
    fails("2 rows, 1 columns and values of %[1%]", { 1, 2 }, { 1 }, { 1 }, { 3, 3 })
    fails("%[1%] is 1.5, which i64 cannot hold", { 1.5 }, { 1 }, { 1 }, { 3, 3 })
    fails("the rows are f64; expected i64 or i32", tensor.ones { 1 }, { 1 }, { 1 }, { 3, 3 })
    fails("the rows are nil", nil, { 1 }, { 1 }, { 3, 3 })
    fails("the shape is %[3%]; expected %[rows, columns%]", { 1 }, { 1 }, { 1 }, { 3 })
    fails("2147483648 columns; expected at most 2147483647", {}, {}, {}, { 1, 1 << 31 })
    local a = sparse.csr({ 1 }, { 1 }, { 1 }, { 2, 3 })
    assert.error_matches(function() a:mv(tensor.ones { 2 }) end,
      "sparse:mv: a sparse matrix of %[2, 3%] times a tensor of %[2%]")
    assert.error_matches(function() a:mm(tensor.ones { 3 }) end, "%[m, n%] times %[n, k%]")
    assert.error_matches(function() a:mv(tensor.ones({ 3 }, "f32")) end, "f64 and one of f32")
    assert.error_matches(function() a:row(3) end, "sparse:row: index 3 in dimension 1; expected from 1 to 2")
    assert.error_matches(function() a:row(0) end, "index 0")
    assert.error_matches(function() return a.rwo end, "no method or field 'rwo' %(did you mean 'row'%?%)")
    local square = sparse.csr({ 1 }, { 1 }, { 1 }, { 2, 2 })
    local v = tensor.ones { 2 }
    assert.error_matches(function() square:mv(v, v) end, "shares its memory")
  end)

  it("does not follow columns that were overwritten", function()
    local a = sparse.csr({ 1 }, { 1 }, { 1 }, { 2, 3 })
    local columns = a:row(1)
    columns[1] = 1000000
    assert.error_matches(function() a:mv(tensor.ones { 3 }) end,
      "a column was overwritten with 1000000; expected from 1 to")
    assert.error_matches(function() a:mm(tensor.ones { 3, 1 }) end, "overwritten with 1000000")
    assert.error_matches(function() a:todense() end, "overwritten with 1000000")
    assert.error_matches(function() a:t() end, "overwritten with 1000000")
  end)

  it("is recognised, and prints", function()
    local a = sparse.csr({ 1 }, { 1 }, tensor.ones({ 1 }, "f32"), { 2, 3 })
    assert.is_true(sparse.is(a))
    assert.is_false(sparse.is(tensor.ones { 1 }))
    assert.equal("sparse f32 [2, 3] with 1 entries", tostring(a))
  end)
end)
