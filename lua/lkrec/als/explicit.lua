--- Matrix factorization for ratings, by alternating least squares, on top of biases.
---
--- Y. Zhou, D. Wilkinson, R. Schreiber, R. Pan: Large-scale parallel collaborative filtering for the
--- Netflix prize. AAIM 2008, section 3; biases as in Y. Koren, R. Bell, C. Volinsky: Matrix
--- factorization techniques for recommender systems. IEEE Computer 42(8), 2009. The score of a pair is
---
---     b(u, i) + p_u q_i
---
--- with the biases of lkrec.bias. With the factors q of the items fixed, those of user u with n ratings
--- are the x with
---
---     (Σ q_i q_iᵀ + λ n I) x = Σ (r_ui - b(u, i)) q_i
---
--- where the sums go over the items that u rated. The items' turn is the same with the roles exchanged.
local lk = require "lkrun"
local alternate = require "lkrec.als.alternate"
local bias = require "lkrec.bias"
local options_of = require("lkrun.internal.options").checker

---@class lkrec.als.explicit
local explicit = {}

local KIND = "lkrec.als.explicit"

---@class lkrec.als.explicit.Model
---@field kind "lkrec.als.explicit"
---@field user_factors lkrun.Tensor # [users, factors], f32
---@field item_factors lkrun.Tensor # [items, factors], f32
---@field bias lkrec.bias.Model

---@class lkrec.als.explicit.Options
---@field factors? integer # default 32
---@field epochs? integer # passes over all users and all items; default 10
---@field regularization? number # λ, above 0; default 0.1
---@field user_damping? number # of the biases, at least 0; default 5
---@field item_damping? number # of the biases, at least 0; default 5
---@field initial? lkrun.Tensor # [items, factors]: what the items' factors begin with; default: random
---@field seed? integer # of the random ones; default 1
---@field n_jobs? integer # worker threads; default: lk.config().threads
---@field progress? lkrun.Progress|boolean # counts rows, epochs × (users + items); true: a bar of its own

local check = options_of("lkrec.als.explicit.train", {
  factors = { default = 32, integer = true, least = 1 },
  epochs = { default = 10, integer = true, least = 1 },
  regularization = { default = 0.1, above = 0 },
  user_damping = { default = 5, least = 0 },
  item_damping = { default = 5, least = 0 },
  initial = { any = true },
  seed = { default = 1, integer = true },
  n_jobs = { any = true },
  progress = { any = true },
})

-- Vectors of unit length in random directions.
local function draw(rows)
  for row = 1, rows:size(1) do
    local drawn = lk.tensor.randn({ rows:size(2) }, "f32")
    rows:select(1, row):copy(drawn:div(drawn:norm()))
  end
end

local function solve(side, first, last)
  local rows = side.own:narrow(1, first, last - first + 1)
  lk.linalg.ridge(side.other, side.residuals, side.lambdas, { rows = { first, last }, out = rows })
end

-- λ times the number of its entries for each row; where there are none it does not matter.
local function lambdas_of(residuals, regularization)
  local lambdas = lk.tensor.zeros({ residuals:size(1) }, "f32")
  for row, columns in residuals:rows() do lambdas[row] = regularization * #columns end
  return lambdas
end

--- Trains a model on all CPUs, in worker threads. The result depends on the matrix and the
--- options, and not on n_jobs.
---@param matrix lkrun.Sparse # [users, items]: the ratings
---@param options? lkrec.als.explicit.Options
---@return lkrec.als.explicit.Model
-- Raises for an unknown option or one out of range, an `initial` of another shape, no ratings.
function explicit.train(matrix, options)
  options = check(options)
  local biases = bias.train(matrix, { user_damping = options.user_damping, item_damping = options.item_damping })
  local residuals = bias.residuals(biases, matrix)
  local of_users = lk.tensor.zeros({ matrix:size(1), options.factors }, "f32")
  local of_items = lk.tensor.zeros({ matrix:size(2), options.factors }, "f32")
  local function side(own_residuals, own, other)
    return {
      own = own, draw = draw, solve = solve, other = other, residuals = own_residuals,
      lambdas = lambdas_of(own_residuals, options.regularization),
    }
  end
  alternate("lkrec.als.explicit.train", {
    users = side(residuals, of_users, of_items), items = side(residuals:t(), of_items, of_users),
  }, options)
  return { kind = KIND, user_factors = of_users, item_factors = of_items, bias = biases }
end

--- How many users and items the model knows.
---@param model lkrec.als.explicit.Model
---@return integer users
---@return integer items
function explicit.size(model) return model.user_factors:size(1), model.item_factors:size(1) end

--- The model as factors, of which a score is the product: {p_u, g + b_u, 1} and {q_i, 1, b_i}.
---@param model lkrec.als.explicit.Model
---@return lkrun.Tensor # [users, factors + 2], f32
---@return lkrun.Tensor # [items, factors + 2], f32
function explicit.factors(model)
  local function beside(left, right)
    local width = left:size(2)
    local both = lk.tensor.zeros({ left:size(1), width + right:size(2) }, "f32")
    both:narrow(2, 1, width):copy(left)
    both:narrow(2, width + 1, right:size(2)):copy(right)
    return both
  end
  local of_users, of_items = bias.factors(model.bias)
  return beside(model.user_factors, of_users), beside(model.item_factors, of_items)
end

return explicit
