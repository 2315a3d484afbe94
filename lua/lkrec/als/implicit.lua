--- Matrix factorization for implicit feedback, by alternating least squares.
---
--- Y. Hu, Y. Koren, C. Volinsky: Collaborative filtering for implicit feedback datasets. ICDM 2008,
--- section 4. With the factors Y of the items fixed, those of user u are the x with
---
---     (YᵀY + λI + Σ w_i y_i y_iᵀ) x = Σ (1 + w_i) y_i
---
--- where the sums go over the items that u has, and w_i is how much more than a missing entry such
--- an entry counts. YᵀY is computed once for all users; so a row costs what its entries cost. The
--- items' turn is the same with the roles exchanged.
---
--- A row is solved exactly (Cholesky), or improved from its last value by a few steps of conjugate
--- gradients: G. Takács, I. Pilászy, D. Tikk: Applications of the conjugate gradient method for
--- implicit feedback collaborative filtering. RecSys 2011, section 3.
local lk = require "lkrun"
local alternate = require "lkrec.als.alternate"
local options_of = require("lkrun.internal.options").checker

---@class lkrec.als.implicit
local implicit = {}

local KIND = "lkrec.als.implicit"
local INITIAL_SPREAD = 0.01 -- of the factors before training

---@class lkrec.als.implicit.Model
---@field kind "lkrec.als.implicit"
---@field user_factors lkrun.Tensor # [users, factors], f32
---@field item_factors lkrun.Tensor # [items, factors], f32

---@class lkrec.als.implicit.Options
---@field factors? integer # default 32
---@field epochs? integer # passes over all users and all items; default 10
---@field weight? number # w = weight × the matrix's value, above 0; default 5
---@field regularization? number # λ, above 0; default 5
---@field solver? "cholesky"|"cg" # exact, or conjugate gradients; default "cholesky"
---@field steps? integer # of conjugate gradients for a row; default 3
---@field initial? lkrun.Tensor # [items, factors]: what the items' factors begin with; default: random
---@field seed? integer # of the random ones; default 1
---@field n_jobs? integer # worker threads; default: lk.config().threads
---@field progress? lkrun.Progress|boolean # counts rows, epochs × (users + items); true: a bar of its own

local check = options_of("lkrec.als.implicit.train", {
  factors = { default = 32, integer = true, least = 1 },
  epochs = { default = 10, integer = true, least = 1 },
  weight = { default = 5, above = 0 },
  regularization = { default = 5, above = 0 },
  solver = { default = "cholesky", choices = { "cholesky", "cg" } },
  steps = { default = 3, integer = true, least = 1 },
  initial = { any = true },
  seed = { default = 1, integer = true },
  n_jobs = { any = true },
  progress = { any = true },
})

-- With L Lᵀ = YᵀY + λI, and the rows of Y turned into z = L⁻¹ y, the equation becomes
-- (I + Σ w_i z_i z_iᵀ) Lᵀx = Σ (1 + w_i) z_i: a ridge regression of its own for each row.
local function prepare(side)
  lk.linalg.syrk(side.other, side.gram):add(side.ridge)
  side.root:copy(lk.linalg.cholesky(side.gram))
  lk.linalg.trsm(side.root, side.turned:copy(side.other):t(), false, true)
end

local function solve(side, first, last)
  local rows = side.own:narrow(1, first, last - first + 1)
  if side.steps then rows:mm(side.root, rows) end -- Lᵀx for each x, to begin from
  lk.linalg.ridge(side.turned, side.targets, 1, {
    weights = side.weights:values(), rows = { first, last }, out = rows, steps = side.steps,
  })
  lk.linalg.trsm(side.root, rows:t(), true, true)
end

local function draw(rows)
  rows:copy(lk.tensor.randn(rows:size(), "f32"):mul(INITIAL_SPREAD))
end

-- The matrix times `weight` plus `one`, in f32.
local function scaled(matrix, weight, one)
  local rows, columns, values = matrix:triplets()
  return lk.sparse.csr(rows, columns, values:to "f32":mul(weight):add(one), { matrix:size(1), matrix:size(2) })
end

-- What the workers share, for each side: the entries of its rows, its factors and those of the other
-- side, and what `prepare` makes of these.
local function sides_of(matrix, options)
  local factors = options.factors
  local function zeros(...) return lk.tensor.zeros({ ... }, "f32") end
  local of_users, of_items = zeros(matrix:size(1), factors), zeros(matrix:size(2), factors)
  local weights, targets = scaled(matrix, options.weight, 0), scaled(matrix, options.weight, 1)
  local gram, root, ridge = zeros(factors, factors), zeros(factors, factors), zeros(factors, factors)
  for k = 1, factors do ridge:set(k, k, options.regularization) end
  local function side(own_weights, own_targets, own, other)
    return {
      own = own, draw = draw, prepare = prepare, solve = solve,
      weights = own_weights, targets = own_targets, other = other, gram = gram, ridge = ridge, root = root,
      turned = zeros(other:size(1), factors), steps = options.solver == "cg" and options.steps or nil,
    }
  end
  return {
    users = side(weights, targets, of_users, of_items),
    items = side(weights:t(), targets:t(), of_items, of_users),
  }
end

--- Trains a model on all CPUs, in worker threads. The result depends on the matrix and the
--- options, and not on n_jobs.
---@param matrix lkrun.Sparse # [users, items]: how much each user had of each item, above 0
---@param options? lkrec.als.implicit.Options
---@return lkrec.als.implicit.Model
-- Raises for an unknown option or one out of range, and for an `initial` of another shape.
function implicit.train(matrix, options)
  options = check(options)
  local sides = sides_of(matrix, options)
  local users, items = sides.users, sides.items
  alternate("lkrec.als.implicit.train", sides, options, { users.gram, users.root, users.turned, items.turned })
  return { kind = KIND, user_factors = users.own, item_factors = items.own }
end

--- How many users and items the model knows.
---@param model lkrec.als.implicit.Model
---@return integer users
---@return integer items
function implicit.size(model) return model.user_factors:size(1), model.item_factors:size(1) end

--- The factors whose products are the scores.
---@param model lkrec.als.implicit.Model
---@return lkrun.Tensor # [users, factors], f32
---@return lkrun.Tensor # [items, factors], f32
function implicit.factors(model) return model.user_factors, model.item_factors end

return implicit
