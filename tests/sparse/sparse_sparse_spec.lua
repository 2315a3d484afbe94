-- Products of two sparse matrices, whole and of their greatest terms, against the definitions.
-- runs under: thread
local lk = require "lkrun"
local sparse, tensor = lk.sparse, lk.tensor

-- Small integers, so that sums are exact in any order and many weights are equal.
local function random_matrix(stream, m, n, count, dtype)
  local rows, columns, values, seen = {}, {}, {}, {}
  for _ = 1, count do
    local row, column = stream:integer(1, m), stream:integer(1, n)
    if not seen[row * n + column] then
      seen[row * n + column] = true
      rows[#rows + 1], columns[#columns + 1], values[#values + 1] = row, column, stream:integer(1, 4)
    end
  end
  return sparse.csr(rows, columns, tensor.from(values, dtype), { m, n })
end

describe("sparse:mm of a sparse matrix", function()
  it("agrees with the dense product, and stores no place without a term", function()
    local stream = lk.random.stream(1)
    for _, dtype in ipairs { "f64", "f32" } do
      local shapes = { { 5, 7, 6, 12 }, { 1, 1, 1, 1 }, { 30, 4, 200, 90 }, { 3, 50, 9000, 400 }, { 2, 3, 4, 0 } }
      for _, s in ipairs(shapes) do
        local a = random_matrix(stream, s[1], s[2], s[4], dtype)
        local b = random_matrix(stream, s[2], s[3], s[4], dtype)
        local product, terms = a:mm(b), tensor.zeros { s[1], s[3] }
        assert.same({ s[1], s[3] }, product:size())
        assert.equal(dtype, product.dtype)
        assert.is_true(product:todense():equal(a:todense():mm(b:todense())))
        for i, columns in a:rows() do
          for k = 1, #columns do
            for j, others in b:rows() do
              if j == columns[k] then terms[i]:index_fill(others, 1) end
            end
          end
        end
        assert.equal(terms:sum(), product.nnz)
      end
    end
  end)

  it("keeps places whose terms cancel", function()
    local a = sparse.csr({ 1, 1 }, { 1, 2 }, { 1, -1 }, { 1, 2 })
    local product = a:mm(sparse.csr({ 1, 2 }, { 1, 1 }, { 3, 3 }, { 2, 1 }))
    assert.equal(1, product.nnz)
    assert.same({ 0 }, product:values():totable())
  end)

  it("takes empty matrices", function()
    for _, s in ipairs { { 0, 0, 0 }, { 0, 3, 2 }, { 2, 0, 3 }, { 2, 3, 0 } } do
      local product = sparse.csr({}, {}, {}, { s[1], s[2] }):mm(sparse.csr({}, {}, {}, { s[2], s[3] }))
      assert.same({ s[1], s[3] }, product:size())
      assert.equal(0, product.nnz)
    end
  end)

  it("names what is wrong", function()
    local a = sparse.csr({ 1 }, { 1 }, { 1 }, { 2, 3 })
    assert.error_matches(function() a:mm(a) end,
      "sparse:mm: a sparse matrix of %[2, 3%] times one of %[2, 3%]; expected %[m, n%] times %[n, k%]")
    local single = sparse.csr({}, {}, tensor.ones({ 0 }, "f32"), { 3, 2 })
    assert.error_matches(function() a:mm(single) end, "f64 and one of f32")
    assert.error_matches(function() a:mm(a:t(), tensor.zeros { 2, 2 }) end, "which is always new")
    local columns = a:row(1)
    columns[1] = 77
    assert.error_matches(function() a:mm(sparse.csr({}, {}, {}, { 3, 3 })) end,
      "a column was overwritten with 77; expected from 1 to")
  end)
end)

-- top_products by its definition: of the terms of every element only the k of greatest weight count, and of terms
-- of equal weight the first.
local function plainly(a, b, k, side, least)
  local m, inner, n = a:size(1), a:size(2), b:size(2)
  local sums, weights = tensor.full({ m, n }, 0 / 0), tensor.full({ m, n }, 0 / 0)
  local has_a, has_b = {}, {}
  for i, columns, values in a:rows() do
    has_a[i] = {}
    for p = 1, #columns do has_a[i][columns[p]] = values[p] end
  end
  for j, columns, values in b:rows() do
    has_b[j] = {}
    for p = 1, #columns do has_b[j][columns[p]] = values[p] end
  end
  for i = 1, m do
    for c = 1, n do
      local terms = {}
      for j = 1, inner do
        local x, y = has_a[i][j], has_b[j][c]
        if x and y then terms[#terms + 1] = { j = j, weight = side == "left" and x or y, product = x * y } end
      end
      table.sort(terms, function(x, y)
        if x.weight ~= y.weight then return x.weight > y.weight end
        return x.j < y.j
      end)
      if #terms >= least then
        local sum, weight = 0, 0
        for t = 1, math.min(k, #terms) do sum, weight = sum + terms[t].product, weight + terms[t].weight end
        sums:set(i, c, sum)
        weights:set(i, c, weight)
      end
    end
  end
  return sums, weights
end

-- As text, in which not-a-number equals itself.
local function text(t) return (tostring(t:to "f64"):gsub("%-nan", "nan")) end

describe("sparse:top_products", function()
  it("sums the terms of greatest weight, of either side, of both dtypes", function()
    local stream = lk.random.stream(2)
    for _, dtype in ipairs { "f64", "f32" } do
      local a, b = random_matrix(stream, 4, 12, 30, dtype), random_matrix(stream, 12, 5, 45, dtype)
      for _, side in ipairs { "left", "right" } do
        for _, k in ipairs { 1, 2, 3, 5, 1 << 40 } do
          for _, least in ipairs { 0, 1, 3 } do
            local sums, weights = a:top_products(b, k, side, least)
            local expected, expected_weights = plainly(a, b, k, side, least)
            assert.equal(dtype, sums.dtype)
            assert.equal(text(expected), text(sums))
            assert.equal(text(expected_weights), text(weights))
          end
        end
      end
      assert.equal(text(plainly(a, b, 2, "left", 1)), text((a:top_products(b, 2, "left"))))
    end
  end)

  it("computes the columns that are asked for, in any order and repeated", function()
    local stream = lk.random.stream(4)
    local a, b = random_matrix(stream, 6, 12, 40), random_matrix(stream, 12, 9, 60)
    for _, side in ipairs { "left", "right" } do
      local all = a:top_products(b, 2, side)
      for _, columns in ipairs { { 9, 2, 2, 5 }, tensor.from({ 1 }, "i32"), {} } do
        assert.equal(text(all:t():index(columns):t():clone()), text((a:top_products(b, 2, side, 1, columns))))
      end
    end
    assert.error_matches(function() a:top_products(b, 2, "left", 1, { 10 }) end, "index 10 at place 1 of the list")
  end)

  it("is the whole product where k is large", function()
    local stream = lk.random.stream(3)
    local a, b = random_matrix(stream, 20, 30, 200), random_matrix(stream, 30, 25, 300)
    for _, side in ipairs { "left", "right" } do
      assert.is_true(a:top_products(b, 30, side, 0):equal(a:mm(b):todense()))
    end
  end)

  it("takes empty matrices", function()
    for _, s in ipairs { { 0, 3, 2 }, { 2, 0, 3 }, { 2, 3, 0 } } do
      local a, b = sparse.csr({}, {}, {}, { s[1], s[2] }), sparse.csr({}, {}, {}, { s[2], s[3] })
      assert.same({ s[1], s[3] }, a:top_products(b, 1, "right"):size())
    end
  end)

  it("names what is wrong", function()
    local a = sparse.csr({ 1 }, { 1 }, { 1 }, { 2, 3 })
    assert.error_matches(function() a:top_products(a, 1, "left") end, "top_products: a sparse matrix of %[2, 3%]")
    assert.error_matches(function() a:top_products(1, 1, "left") end, "argument 2 is a number")
    assert.error_matches(function() a:top_products(a:t(), 0, "left") end, "0 terms, at least 1")
    assert.error_matches(function() a:top_products(a:t(), 1, "up") end, "'up'; expected 'left' or 'right'")
    assert.error_matches(function() a:top_products(a:t(), 1) end, "those of nil; expected 'left' or 'right'")
    local columns = a:row(1)
    columns[1] = 77
    for _, side in ipairs { "left", "right" } do
      assert.error_matches(function() a:top_products(sparse.csr({}, {}, {}, { 3, 3 }), 1, side) end,
        "overwritten with 77")
    end
  end)
end)
