-- Ridge regression for the rows of a sparse matrix, and triangles: lk.linalg.ridge, lk.linalg.trsm.
local lk = require "lkrun"
local cases = require "tests.tensor.tensor_cases"
local tensor, linalg = lk.tensor, lk.linalg

local stream = lk.random.stream(31)

local function draw(rows, columns, dtype)
  local t = tensor.zeros({ rows, columns }, dtype)
  for i = 1, rows do
    for k = 1, columns do t:set(i, k, stream:normal()) end
  end
  return t
end

-- Rows with few entries, as many as a regressor has elements, more, all, and none.
local function some_targets(columns, width, dtype)
  local counts = { 1, 2, width - 1, width, width + 1, 0, columns, 0, 3 }
  local row_of, column_of, values = {}, {}, {}
  for row, count in ipairs(counts) do
    local list = {}
    for column = 1, columns do list[column] = column end
    stream:shuffle(list)
    for i = 1, math.max(math.min(count, columns), 0) do
      row_of[#row_of + 1], column_of[#column_of + 1], values[#values + 1] = row, list[i], stream:integer(-3, 5)
    end
  end
  return lk.sparse.csr(row_of, column_of, tensor.from(values, dtype), { #counts, columns })
end

-- The plain definition, in f64: row by row, by the normal equations.
local function plainly(y, targets, lambda, weights)
  local width, entry = y:size(2), 0
  local solutions = tensor.zeros { targets:size(1), width }
  for row, columns, values in targets:rows() do
    local matrix, right = tensor.zeros { width, width }, tensor.zeros { width }
    for k = 1, width do matrix:set(k, k, type(lambda) == "number" and lambda or lambda[row]) end
    for i = 1, #columns do
      entry = entry + 1
      local regressor = y[columns[i]]:to "f64"
      matrix:addmm(regressor:view(width, 1), regressor:view(1, width), weights and weights[entry] or 1.0)
      right:axpy(values[i], regressor)
    end
    if #columns > 0 then solutions[row] = linalg.cholesky_solve(matrix, right) end
  end
  return solutions
end

describe("lk.linalg.ridge", function()
  for _, case in ipairs { { "f64", 1e-9 }, { "f32", 1e-3 } } do
    local dtype, tolerance = table.unpack(case)
    local function check(y, targets, lambda, weights)
      local found = linalg.ridge(y, targets, lambda, { weights = weights })
      local expected = plainly(y, targets, lambda, weights)
      assert.equal(dtype, found.dtype)
      assert.is_true(expected:allclose(found:to "f64", tolerance, tolerance))
    end

    it("solves the normal equations of every row, for " .. dtype, function()
      for _, width in ipairs { 1, 2, 5, 17 } do
        local y, targets = draw(30, width, dtype), some_targets(30, width, dtype)
        local weights = tensor.zeros({ targets.nnz }, dtype)
        for i = 1, targets.nnz do weights[i] = stream:uniform() * 4 + 0.1 end
        local lambdas = tensor.zeros({ targets:size(1) }, dtype)
        for row = 1, targets:size(1) do lambdas[row] = 0.2 * row end
        check(y, targets, 0.5)
        check(y, targets, 0.5, weights)
        check(y, targets, lambdas, weights)
        weights[1], weights[5] = 0, 0 -- of the only entry of a row, and of an entry among others
        check(y, targets, 0.5, weights)
      end
    end)

    it("comes to the same by as many steps of conjugate gradients as y is wide, for " .. dtype, function()
      local y, targets = draw(30, 6, dtype), some_targets(30, 6, dtype)
      local expected = linalg.ridge(y, targets, 0.5)
      for _, out in ipairs(cases.layouts(draw(targets:size(1), 6, dtype))) do
        local first = out:clone()
        linalg.ridge(y, targets, 0.5, { out = out, steps = 1 })
        local far, near = (first - expected):norm(), (out - expected):norm()
        assert.is_true(near < far)
        linalg.ridge(y, targets, 0.5, { out = out, steps = 7 })
        assert.is_true(expected:allclose(out, tolerance, tolerance))
        linalg.ridge(y, targets, 0.5, { out = out, steps = 1 }) -- begins at the solution, and stays there
        assert.is_true(expected:allclose(out, tolerance, tolerance))
      end
    end)

    it("takes views of any strides, for " .. dtype, function()
      local y, targets = draw(20, 4, dtype), some_targets(20, 4, dtype)
      local weights, lambdas = tensor.ones({ targets.nnz }, dtype), tensor.ones({ targets:size(1) }, dtype)
      local spread = tensor.zeros({ targets.nnz, 2 }, dtype):select(2, 1):copy(weights)
      local expected = linalg.ridge(y, targets, 1)
      for _, view in ipairs(cases.layouts(y)) do
        assert.is_true(expected:equal(linalg.ridge(view, targets, lambdas, { weights = spread })))
      end
      for _, out in ipairs(cases.layouts(tensor.full(expected:size(), 7, dtype))) do
        assert.equal(out, linalg.ridge(y, targets, 1, { out = out }))
        assert.is_true(expected:equal(out))
      end
    end)

    it("solves a row to the same bits alone and among others, for " .. dtype, function()
      local y, targets = draw(60, 9, dtype), some_targets(60, 9, dtype)
      local all = linalg.ridge(y, targets, 0.1)
      for row = 1, targets:size(1) do
        local alone = linalg.ridge(y, targets, 0.1, { rows = { row, row } })
        assert.is_true(alone:equal(all:narrow(1, row, 1)))
      end
      assert.same({ 0, 9 }, linalg.ridge(y, targets, 0.1, { rows = { 4, 3 } }):size())
    end)
  end

  it("may write over the regressors", function()
    local y = draw(3, 3, "f64")
    local targets = lk.sparse.csr({ 1, 2, 2, 3 }, { 1, 1, 3, 2 }, { 1, 2, 3, 4 }, { 3, 3 })
    local expected = linalg.ridge(y, targets, 1)
    assert.is_true(expected:equal(linalg.ridge(y, targets, 1, { out = y })))
    assert.is_true(expected:equal(y))
  end)

  it("takes what is empty", function()
    local empty = lk.sparse.csr({}, {}, {}, { 3, 2 })
    assert.same({ { 0 }, { 0 }, { 0 } }, linalg.ridge(tensor.ones { 2, 1 }, empty, 1):totable())
    assert.same({ 3, 0 }, linalg.ridge(tensor.ones { 2, 0 }, empty, 1):size())
    assert.same({ 0, 4 }, linalg.ridge(tensor.ones { 0, 4 }, lk.sparse.csr({}, {}, {}, { 0, 0 }), 1):size())
  end)

  it("names what does not fit", function()
    local fails, ridge = cases.fails, linalg.ridge
    local y = tensor.ones { 2, 1 }
    local targets = lk.sparse.csr({ 1, 1, 2 }, { 1, 2, 1 }, { 1, 1, 1 }, { 3, 2 })
    fails("lk.linalg.ridge: regressors of %[3, 1%] for targets of %[3, 2%]; expected %[2, k%]",
      ridge, tensor.ones { 3, 1 }, targets, 1)
    fails("f32 and one of f64; expected the same dtype", ridge, y:to "f32", targets, 1)
    fails("argument 2 is a tensor; expected a sparse matrix", ridge, y, y, 1)
    fails("lambda is 0.0%d*; expected a number above 0", ridge, y, targets, 0)
    fails("lambda is nil", ridge, y, targets)
    fails("lambda is a tensor of %[2%]; expected a number or %[3%]", ridge, y, targets, tensor.ones { 2 })
    fails("weights of %[2%]; expected one for each target, %[3%]",
      ridge, y, targets, 1, { weights = tensor.ones { 2 } })
    fails("a weight of row 2 is %-1.0%d*; expected 0 or more",
      ridge, y, targets, 1, { weights = tensor.from { 1, 1, -1 } })
    fails("a weight of row 1 is %-?nan", ridge, y, targets, 1, { weights = tensor.from { 1, 0 / 0, 1 } })
    fails("`rows` is {0, 2}; expected from 1 to 3", ridge, y, targets, 1, { rows = { 0, 2 } })
    fails("`rows` is {1, 4}", ridge, y, targets, 1, { rows = { 1, 4 } })
    fails("`rows` is a number; expected {first, last}", ridge, y, targets, 1, { rows = 1 })
    fails("the shape %[2, 1%]; expected %[3, 1%]", ridge, y, targets, 1, { out = tensor.ones { 2, 1 } })
    fails("unknown option 'row' "
      .. "%(did you mean 'rows'%?%); there are weights, rows, out, steps", ridge, y, targets, 1, { row = 1 })
    fails("`steps` is 0; expected 1 or more", ridge, y, targets, 1, { steps = 0, out = tensor.ones { 3, 1 } })
    fails("there are steps but no `out`", ridge, y, targets, 1, { steps = 1 })
    fails("the matrix of row 1 is not positive definite; a greater lambda", ridge, y, targets,
      tensor.from { -9, 1, 1 })
    targets:row(2)[1] = 2 ^ 30 // 1 | 0
    fails("a column of row 2 was overwritten with 1073741824; expected from 1 to", ridge, y, targets, 1)
  end)
end)

describe("lk.linalg.trsm", function()
  for _, case in ipairs { { "f64", 1e-9 }, { "f32", 1e-3 } } do
    local dtype, tolerance = table.unpack(case)
    it("solves with a lower triangle and with its transpose, for " .. dtype, function()
      local full = draw(4, 4, dtype)
      for i = 1, 4 do full:set(i, i, 3 + i) end
      local lower = full:clone() -- without what must not be read
      for i = 1, 4 do
        for j = i + 1, 4 do lower:set(i, j, 0) end
      end
      for _, x in ipairs { draw(4, 3, dtype), draw(4, 1, dtype), draw(4, 1, dtype):view(4) } do
        local function product(matrix) return x:dim() == 1 and matrix:mv(x) or matrix:mm(x) end
        for _, transposed in ipairs { false, true } do
          local b = product(transposed and lower:t() or lower)
          for _, triangle in ipairs(cases.layouts(full)) do
            for _, side in ipairs(cases.layouts(b:clone())) do
              local kept = side:clone()
              assert.is_true(x:allclose(linalg.trsm(triangle, side, transposed), tolerance, tolerance))
              assert.is_true(kept:equal(side))
              assert.equal(side, linalg.trsm(triangle, side, transposed, true))
              assert.is_true(x:allclose(side, tolerance, tolerance))
            end
          end
        end
      end
    end)
  end

  it("takes empty systems, and names what does not fit", function()
    local fails, trsm = cases.fails, linalg.trsm
    assert.same({}, trsm(tensor.zeros { 0, 0 }, tensor.zeros { 0 }):totable())
    fails("lk.linalg.trsm: a tensor of %[2, 3%]; expected a square matrix",
      trsm, tensor.ones { 2, 3 }, tensor.ones { 2 })
    fails("right sides of %[3%]", trsm, tensor.ones { 2, 2 }, tensor.ones { 3 })
    fails("the same dtype", trsm, tensor.ones { 2, 2 }, tensor.ones({ 2 }, "f32"))
    local a = tensor.ones { 2, 2 }
    fails("share memory", trsm, a, a, false, true)
  end)
end)
