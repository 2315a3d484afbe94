local lk = require "lkrun"
local batch = require "lkrec.batch"
local bias = require "lkrec.bias"
local data = require "lkrec.data"
local explicit = require "lkrec.als.explicit"
local small = require "tests.lkrec.als.small"

local users, items, factors = small.users, small.items, 4
local dot = small.dot

-- The largest element of (Σ x xᵀ + λ n I) y - Σ e x over all items' rows y, where e is a rating less its biases.
-- It is 0 where each row of the items solves its equation.
local function worst_residual(model, matrix, regularization)
  local X, Y = model.user_factors:totable(), model.item_factors:totable()
  local above = bias.residuals(model.bias, matrix):t()
  local worst = 0.0
  for item, y in ipairs(Y) do
    local of_users, values = above:row(item)
    for k = 1, factors do
      local residual = regularization * #values * y[k]
      for i = 1, #values do
        local x = X[of_users[i]]
        residual = residual + x[k] * (dot(x, y) - values[i])
      end
      worst = math.max(worst, math.abs(residual))
    end
  end
  return worst
end

describe("lkrec.als.explicit", function()
  local matrix = small.ratings "f64"
  local options = { factors = factors, epochs = 3, regularization = 0.05, n_jobs = 1 }
  local model = explicit.train(matrix, options)

  it("solves each row's equation", function()
    assert.is_true(worst_residual(model, matrix, options.regularization) < 1e-4)
    assert.is_true(model.item_factors:norm() > 0.5)
    assert.equal(0, model.user_factors:select(1, 7):norm())
    assert.equal(0, model.item_factors:select(1, 9):norm())
  end)

  it("begins with the factors that it is given", function()
    -- One factor that is 1 for every item: then user u's is the mean residual, damped by λ, at once.
    local ones = lk.tensor.ones { items, 1 }
    local one = explicit.train(matrix, { factors = 1, epochs = 1, regularization = 0.5, initial = ones })
    local above = bias.residuals(one.bias, matrix)
    for user, columns, values in above:rows() do
      local expected = #columns == 0 and 0 or values:sum() / (1.5 * #columns)
      assert.is_true(math.abs(expected - one.user_factors:get(user, 1)) < 1e-6)
    end
    assert.equal(items, ones:sum())
  end)

  it("scores by biases and factors", function()
    local scores = batch.score(model)
    for user = 1, users, 6 do
      for item = 1, items, 3 do
        local expected = model.bias.mean + model.bias.user_offsets[user] + model.bias.item_offsets[item]
          + dot(model.user_factors[user], model.item_factors[item])
        assert.is_true(math.abs(expected - scores:get(user, item)) < 1e-5)
      end
    end
    assert.same({ users, items }, { explicit.size(model) })
  end)

  it("is the same, bit by bit, for every number of workers, and another for another seed", function()
    local wide = data.matrix(data.generate { users = 250, items = 220, ratings = 4000 }, { values = true })
    local first
    for _, n_jobs in ipairs { 1, 2, 3 } do
      local trained = explicit.train(wide, { factors = 5, epochs = 2, n_jobs = n_jobs })
      first = first or trained
      assert.is_true(first.user_factors:equal(trained.user_factors))
      assert.is_true(first.item_factors:equal(trained.item_factors))
    end
    assert.is_false(first.item_factors:equal(explicit.train(wide, { factors = 5, epochs = 2, seed = 2 }).item_factors))
  end)

  it("predicts ratings better than biases do", function()
    -- Grades that a product of one factor plants on top of a mean.
    local stream = lk.random.stream(5)
    local rows, columns, values = {}, {}, {}
    local of_user, of_item = {}, {}
    for user = 1, 60 do of_user[user] = stream:normal() end
    for item = 1, 40 do of_item[item] = stream:normal() end
    for user = 1, 60 do
      for item = 1, 40 do
        if stream:uniform() < 0.5 then
          rows[#rows + 1], columns[#columns + 1] = user, item
          values[#values + 1] = 3 + of_user[user] * of_item[item]
        end
      end
    end
    local planted = lk.sparse.csr(rows, columns, values, { 60, 40 })
    local function error_of(trained)
      local sum, n, scores = 0, 0, batch.score(trained)
      local known = planted:todense()
      for user = 1, 60 do
        for item = 1, 40 do
          if known:get(user, item) == 0 then -- not among those that it was trained on
            n = n + 1
            sum = sum + (scores:get(user, item) - 3 - of_user[user] * of_item[item]) ^ 2
          end
        end
      end
      return math.sqrt(sum / n)
    end
    local trained = explicit.train(planted, { factors = 2, regularization = 0.02 })
    assert.is_true(error_of(trained) < 0.3 * error_of(bias.train(planted)))
  end)

  it("counts rows in a progress of the caller's, and leaves the matrix as it was", function()
    local before = matrix:values():clone()
    local progress <close> = lk.invoke_progress { total = 2 * (users + items) }
    explicit.train(matrix, { factors = 2, epochs = 2, n_jobs = 2, progress = progress })
    assert.equal(2 * (users + items), progress.finished)
    assert.is_true(before:equal(matrix:values()))
  end)

  it("refuses what it cannot use", function()
    local function refused(expected, wrong)
      assert.has_error(function() explicit.train(matrix, wrong) end, "lkrun: lkrec.als.explicit.train: " .. expected)
    end
    refused("unknown option 'weight'; there are epochs, factors, initial, item_damping, n_jobs, progress, "
      .. "regularization, seed, user_damping", { weight = 3 })
    refused("factors is 0; expected an integer of 1 or more", { factors = 0 })
    refused("regularization is 0; expected a number above 0", { regularization = 0 })
    refused("initial is a number; expected a tensor of [20, 32]", { initial = 5 })
    refused("initial is a tensor of [20, 4]; expected a tensor of [20, 32]", { initial = lk.tensor.ones { 20, 4 } })
    assert.error_matches(function() explicit.train(lk.sparse.csr({}, {}, {}, { 2, 2 })) end, "has no entries")
  end)
end)
