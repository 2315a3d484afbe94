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
---
--- Worker threads write rows of the shared factor matrices, and no two tasks write the same row. What a
--- row becomes depends on its entries, the other side's factors and, with conjugate gradients, its
--- own last value: not on the number of workers.
local lk = require "lkrun"
local check_initial = require "lkrec.als.initial"

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

local defaults = {
  factors = 32, epochs = 10, weight = 5, regularization = 5, solver = "cholesky", steps = 3, seed = 1,
}
local optional = { initial = true, n_jobs = true, progress = true }

local function with_defaults(options)
  local result = {}
  for name, value in pairs(options) do
    if defaults[name] == nil and not optional[name] then
      error(("lkrun: lkrec.als.implicit.train: unknown option '%s'"):format(name), 0)
    end
    result[name] = value
  end
  for name, value in pairs(defaults) do
    if result[name] == nil then result[name] = value end
  end
  local function check(name, right, expected)
    if not right then
      error(("lkrun: lkrec.als.implicit.train: %s is %s; expected %s")
        :format(name, result[name], expected), 4)
    end
  end
  for _, name in ipairs { "factors", "epochs", "steps" } do
    check(name, math.type(result[name]) == "integer" and result[name] >= 1, "an integer of at least 1")
  end
  for _, name in ipairs { "weight", "regularization" } do
    check(name, type(result[name]) == "number" and result[name] > 0, "a number above 0")
  end
  check("solver", result.solver == "cholesky" or result.solver == "cg", "'cholesky' or 'cg'")
  return result
end

-- With L Lᵀ = YᵀY + λI, and the rows of Y turned into z = L⁻¹ y, the equation becomes
-- (I + Σ w_i z_i z_iᵀ) Lᵀx = Σ (1 + w_i) z_i: a ridge regression of its own for each row.
local function prepare(side)
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

local function draw_rows(factors, first, last)
  factors:narrow(1, first, last - first + 1)
    :copy(lk.tensor.randn({ last - first + 1, factors:size(2) }, "f32"):mul(INITIAL_SPREAD))
end

-- The operation. A task is a range of rows of one side, to be solved, or drawn at random to begin.
local function solve_rows(sides, task)
  local side = sides[task.side]
  if task.draw then return draw_rows(side.own, task.first, task.last) end
  solve(side, task.first, task.last)
end

local function tasks_for(side, count, draw)
  local tasks = {}
  for chunk in lk.WorkChunks.create(count):tasks() do
    tasks[#tasks + 1] = { side = side, first = chunk[1], last = chunk[2], draw = draw }
  end
  return tasks
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
  local gram, root = zeros(factors, factors), zeros(factors, factors)
  local function side(own_weights, own_targets, own, other)
    return {
      weights = own_weights, targets = own_targets, own = own, other = other, gram = gram, root = root,
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
-- Raises for an unknown option or one out of range.
function implicit.train(matrix, options)
  options = with_defaults(options or {})
  local users, items = matrix:size(1), matrix:size(2)
  if options.initial then check_initial("lkrec.als.implicit.train", options.initial, items, options.factors) end
  local sides = sides_of(matrix, options)
  local ridge = lk.tensor.zeros({ options.factors, options.factors }, "f32")
  for k = 1, options.factors do ridge:set(k, k, options.regularization) end
  local bar <close> = options.progress == true and lk.invoke_progress {
    label = "ALS", total = options.epochs * (users + items), unit = "rows",
  } or nil
  local progress = bar or options.progress or nil
  local invoker <close> = lk.invoker(sides, solve_rows, {
    n_jobs = options.n_jobs, workers = "threads", seed = options.seed,
    writable = {
      sides.users.own, sides.items.own, sides.users.gram, sides.users.root, sides.users.turned, sides.items.turned,
    },
  })

  local function run(tasks, shown)
    for i in invoker:map(tasks) do
      if shown then shown:update(tasks[i].last - tasks[i].first + 1) end
    end
  end
  local function solve_side(side, tasks)
    lk.linalg.syrk(side.other, side.gram):add(ridge)
    prepare(side)
    run(tasks, progress)
  end
  local user_tasks, item_tasks = tasks_for("users", users), tasks_for("items", items)
  if options.initial then sides.items.own:copy(options.initial) else run(tasks_for("items", items, true)) end
  for _ = 1, options.epochs do
    solve_side(sides.users, user_tasks)
    solve_side(sides.items, item_tasks)
  end
  return { kind = KIND, user_factors = sides.users.own, item_factors = sides.items.own }
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
