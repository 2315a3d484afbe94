local lk = require "lkrun"
local batch = require "lkrec.batch"
local data = require "lkrec.data"
local implicit = require "lkrec.als.implicit"
local small = require "tests.lkrec.als.small"

local users, items, factors = small.users, small.items, 4
local dot = small.dot

-- The largest element of (XᵀX + λI + Σ w x xᵀ) y - Σ (1 + w) x over all items' rows y: 0 where each
-- row of the items solves its equation of Hu, Koren and Volinsky, section 4.
local function worst_residual(model, matrix, options)
  local X, Y = model.user_factors:totable(), model.item_factors:totable()
  local by_item = matrix:t()
  local worst = 0.0
  for item, y in ipairs(Y) do
    local weight = {}
    local columns, values = by_item:row(item)
    for i, user in ipairs(columns:totable()) do weight[user] = options.weight * values:get(i) end
    for k = 1, factors do
      local residual = options.regularization * y[k]
      for user, x in ipairs(X) do
        local w = weight[user]
        residual = residual + x[k] * ((1 + (w or 0)) * dot(x, y) - (w and 1 + w or 0))
      end
      worst = math.max(worst, math.abs(residual))
    end
  end
  return worst
end

-- Equation 3 of the paper: the weighted error over all pairs, and the regularization.
local function loss(model, matrix, options)
  local X, Y = model.user_factors:totable(), model.item_factors:totable()
  local sum = 0.0
  for user, x in ipairs(X) do
    local weight = {}
    local columns, values = matrix:row(user)
    for i, item in ipairs(columns:totable()) do weight[item] = options.weight * values:get(i) end
    for item, y in ipairs(Y) do
      local w = weight[item]
      sum = sum + (1 + (w or 0)) * ((w and 1 or 0) - dot(x, y)) ^ 2
    end
  end
  for _, rows in ipairs { X, Y } do
    for _, row in ipairs(rows) do sum = sum + options.regularization * dot(row, row) end
  end
  return sum
end

describe("lkrec.als.implicit.train", function()
  local matrix = small.ratings "f32"

  it("solves each row's equation exactly with Cholesky", function()
    local options = { factors = factors, epochs = 3, weight = 2.5, regularization = 0.5, n_jobs = 1 }
    assert.is_true(worst_residual(implicit.train(matrix, options), matrix, options) < 1e-3)
  end)

  it("comes to the same with as many steps of conjugate gradients as there are factors", function()
    local options = {
      factors = factors, epochs = 3, weight = 2.5, regularization = 0.5, n_jobs = 1,
      solver = "cg", steps = factors + 1,
    }
    local model = implicit.train(matrix, options)
    assert.is_true(worst_residual(model, matrix, options) < 1e-3)
    options.solver = "cholesky"
    assert.is_true(model.item_factors:allclose(implicit.train(matrix, options).item_factors, 1e-3, 1e-3))
  end)

  it("loses error in every epoch, with either solver", function()
    for _, solver in ipairs { "cholesky", "cg" } do
      local last = math.huge
      for epochs = 1, 5 do
        local options = {
          factors = factors, epochs = epochs, weight = 2, regularization = 0.1, solver = solver, n_jobs = 1,
        }
        local now = loss(implicit.train(matrix, options), matrix, options)
        assert.is_true(now < last, ("%s, epoch %d: %g after %g"):format(solver, epochs, now, last))
        last = now
      end
    end
  end)

  it("gives rows without entries the factors 0", function()
    for _, solver in ipairs { "cholesky", "cg" } do
      local model = implicit.train(matrix, { factors = factors, epochs = 2, solver = solver, n_jobs = 1 })
      assert.equal(0, model.user_factors:select(1, 7):norm())
      assert.equal(0, model.item_factors:select(1, 9):norm())
      assert.is_true(model.user_factors:select(1, 8):norm() > 0)
    end
  end)

  it("gives the same bits for every number of workers, and others for another seed", function()
    local large = data.matrix(data.generate { users = 250, items = 330, ratings = 5000 })
    for _, solver in ipairs { "cholesky", "cg" } do
      local function train(n_jobs, seed)
        return implicit.train(large, { factors = 8, epochs = 2, solver = solver, n_jobs = n_jobs, seed = seed })
      end
      local one = train(1, 5)
      for n_jobs = 2, 4 do
        local model = train(n_jobs, 5)
        assert.is_true(one.user_factors:equal(model.user_factors))
        assert.is_true(one.item_factors:equal(model.item_factors))
      end
      assert.is_false(one.item_factors:equal(train(2, 6).item_factors))
    end
  end)

  it("counts rows in a progress of the caller's", function()
    local progress <close> = lk.invoke_progress { total = 2 * (users + items) }
    implicit.train(matrix, { factors = factors, epochs = 2, n_jobs = 2, progress = progress })
    assert.equal(2 * (users + items), progress.finished)
  end)

  it("leaves the matrix as it was", function()
    local before = matrix:values():clone()
    implicit.train(matrix, { factors = 2, epochs = 1, weight = 3, n_jobs = 1 })
    assert.is_true(before:equal(matrix:values()))
  end)

  it("begins with the factors that it is given", function()
    local options = { factors = 2, epochs = 1, weight = 3, regularization = 0.5, n_jobs = 1 }
    local first = implicit.train(matrix, options)
    -- One epoch from the factors of another one is the same as two epochs.
    options.initial = first.item_factors
    local second = implicit.train(matrix, options)
    options.initial, options.epochs = nil, 2
    assert.is_true(implicit.train(matrix, options).item_factors:equal(second.item_factors))
    assert.has_error(function() implicit.train(matrix, { factors = 3, initial = first.item_factors }) end,
      "lkrun: lkrec.als.implicit.train: initial is a tensor of [20, 2]; expected a tensor of [20, 3]")
  end)

  it("takes a matrix without any entry", function()
    local empty = lk.sparse.csr({}, {}, {}, { 3, 2 })
    local model = implicit.train(empty, { factors = 2, epochs = 1, n_jobs = 1 })
    assert.equal(0, model.user_factors:norm())
  end)

  it("refuses what it does not know", function()
    local function refused(options, expected)
      local done, message = pcall(implicit.train, matrix, options)
      assert.is_false(done)
      assert.matches("lkrun: lkrec.als.implicit.train: " .. expected, message)
    end
    refused({ factor = 3 }, "unknown option 'factor'")
    refused({ factors = 0 }, "factors is 0; expected an integer of 1 or more")
    refused({ epochs = 1.5 }, "epochs is 1.5; expected an integer of 1 or more")
    refused({ steps = "x" }, "steps is 'x'; expected an integer of 1 or more")
    refused({ weight = -1 }, "weight is %-1; expected a number above 0")
    refused({ regularization = 0 }, "regularization is 0; expected a number above 0")
    refused({ solver = "lu" }, "solver is 'lu'; expected 'cholesky' or 'cg'")
  end)
end)

describe("a model of lkrec.als.implicit", function()
  local model = {
    kind = "lkrec.als.implicit",
    user_factors = lk.tensor.from({ { 1, 0 }, { 0, 2 }, { 3, 1 } }, "f32"),
    item_factors = lk.tensor.from({ { 1, 1 }, { 2, 0 }, { 0, 3 }, { 1, 2 } }, "f32"),
  }

  it("scores by the products of factors", function()
    assert.same({ { 4, 6, 3, 5 }, { 1, 2, 0, 1 } }, batch.score(model, { 3, 1 }):totable())
    assert.same({ 6, 6 }, batch.predict(model, { 3, 2 }, { 2, 3 }):totable())
    assert.same({ 3, 4 }, { implicit.size(model) })
  end)
end)
