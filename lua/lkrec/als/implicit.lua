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

-- What a worker computes in, kept from row to row: at this size, making tensors would cost more than
-- the arithmetic.
local function workspace(factors)
  local work = {
    matrix = lk.tensor.zeros({ factors, factors }, "f32"),
    residual = lk.tensor.zeros({ factors }, "f32"),
    direction = lk.tensor.zeros({ factors }, "f32"),
    image = lk.tensor.zeros({ factors }, "f32"),
  }
  local rows, weighted, entries
  local room, by_count = 0, {}

  -- Room for a row with `count` entries: the other side's factors of these entries and their
  -- transpose, the same times their weights, a vector, and the vector repeated in each column.
  function work.of(count)
    if count > room then
      room, by_count = 2 * count, {}
      rows = lk.tensor.zeros({ room, factors }, "f32")
      weighted = lk.tensor.zeros({ room, factors }, "f32")
      entries = lk.tensor.zeros({ room }, "f32")
    end
    local views = by_count[count]
    if not views then
      views = {
        rows = rows:narrow(1, 1, count), weighted = weighted:narrow(1, 1, count),
        entries = entries:narrow(1, 1, count),
      }
      views.columns = views.rows:t()
      views.spread = views.entries:view(count, 1):expand(count, factors)
      by_count[count] = views
    end
    return views
  end
  return work
end

-- A solver writes the factors of a row into x, given those of its entries in `views` and the weights
-- of the entries.
---@type table<string, fun(work: table, views: table, x: lkrun.Tensor, weights: lkrun.Tensor, side: table)>
local solvers = {}

function solvers.cholesky(work, views, x, weights, side)
  views.entries:copy(weights)
  views.weighted:copy(views.rows):mul(views.spread)
  work.matrix:copy(side.gram):addmm(views.columns, views.weighted)
  x:addmv(views.columns, views.entries:add(1), 1, 0)
  lk.linalg.cholesky_solve(work.matrix, x, true)
end

function solvers.cg(work, views, x, weights, side)
  local rows, columns, entries, gram = views.rows, views.columns, views.entries, side.gram
  local residual, direction, image = work.residual, work.direction, work.image
  -- b - A x, the entries' part of both in one product: 1 + w - w (y x).
  rows:mv(x, entries):sub(1):mul(weights):sub(1)
  residual:addmv(columns, entries, -1, 0):addmv(gram, x, -1)
  direction:copy(residual)
  local square = residual:dot(residual)
  for _ = 1, side.steps do
    if square < 1e-20 then return end
    rows:mv(direction, entries):mul(weights)
    image:addmv(columns, entries, 1, 0):addmv(gram, direction)
    local step = square / direction:dot(image)
    x:axpy(step, direction)
    residual:axpy(-step, image)
    local last = square
    square = residual:dot(residual)
    direction:mul(square / last):add(residual)
  end
end

local function draw_rows(factors, first, last)
  factors:narrow(1, first, last - first + 1)
    :copy(lk.tensor.randn({ last - first + 1, factors:size(2) }, "f32"):mul(INITIAL_SPREAD))
end

-- The operation. A task is a range of rows of one side, to be solved, or drawn at random to begin.
local function operation()
  local work -- each worker makes its own
  return function(shared, task)
    local side = shared[task.side]
    if task.draw then return draw_rows(side.own, task.first, task.last) end
    work = work or workspace(side.own:size(2))
    for row = task.first, task.last do
      local x = side.own:select(1, row)
      local entries, weights = side.weights:row(row)
      if #entries == 0 then
        x:zero()
      else
        local views = work.of(#entries)
        side.other:index(entries, views.rows)
        side.solve(work, views, x, weights, side)
      end
    end
  end
end

local function tasks_for(side, count, draw)
  local tasks = {}
  for chunk in lk.WorkChunks.create(count):tasks() do
    tasks[#tasks + 1] = { side = side, first = chunk[1], last = chunk[2], draw = draw }
  end
  return tasks
end

-- The matrix times `weight`, in f32.
local function as_weights(matrix, weight)
  local rows, columns, values = matrix:triplets()
  return lk.sparse.csr(rows, columns, values:to "f32":mul(weight), { matrix:size(1), matrix:size(2) })
end

--- Trains a model on all CPUs, in worker threads. The result depends on the matrix and the
--- options, and not on n_jobs.
---@param matrix lkrun.Sparse # [users, items]: how much each user had of each item, above 0
---@param options? lkrec.als.implicit.Options
---@return lkrec.als.implicit.Model
-- Raises for an unknown option or one out of range.
function implicit.train(matrix, options)
  options = with_defaults(options or {})
  local users, items, factors = matrix:size(1), matrix:size(2), options.factors
  if options.initial then check_initial("lkrec.als.implicit.train", options.initial, items, factors) end
  local function zeros(...) return lk.tensor.zeros({ ... }, "f32") end
  local of_users, of_items = zeros(users, factors), zeros(items, factors)
  local gram, ridge = zeros(factors, factors), zeros(factors, factors)
  for k = 1, factors do ridge:set(k, k, options.regularization) end
  local by_item = as_weights(matrix, options.weight):t()

  local function side(weights, own, other)
    return {
      weights = weights, own = own, other = other, gram = gram,
      solve = solvers[options.solver], steps = options.steps,
    }
  end
  local shared = {
    users = side(by_item:t(), of_users, of_items), items = side(by_item, of_items, of_users),
  }
  local bar <close> = options.progress == true and lk.invoke_progress {
    label = "ALS", total = options.epochs * (users + items), unit = "rows",
  } or nil
  local progress = bar or options.progress or nil
  local invoker <close> = lk.invoker(shared, operation(), {
    n_jobs = options.n_jobs, workers = "threads", seed = options.seed, writable = { of_users, of_items, gram },
  })

  local function run(tasks, shown)
    for i in invoker:map(tasks) do
      if shown then shown:update(tasks[i].last - tasks[i].first + 1) end
    end
  end
  local user_tasks, item_tasks = tasks_for("users", users), tasks_for("items", items)
  if options.initial then of_items:copy(options.initial) else run(tasks_for("items", items, true)) end
  for _ = 1, options.epochs do
    lk.linalg.syrk(of_items, gram):add(ridge)
    run(user_tasks, progress)
    lk.linalg.syrk(of_users, gram):add(ridge)
    run(item_tasks, progress)
  end
  return { kind = KIND, user_factors = of_users, item_factors = of_items }
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
