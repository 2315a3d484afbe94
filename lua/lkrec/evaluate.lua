--- Computes the metrics of lkrec.metrics, where they are defined, for many lists at once: as products of
--- tensors, for blocks of lists in worker processes.
local lk = require "lkrun"
local fail = require "lkrun.internal.fail"
local names = require "lkrec.metrics".names
local options_of = require("lkrun.internal.options").checker

local BLOCK_ELEMENTS = 1 << 16 -- places of lists in one task

local WHERE = "lkrec.metrics.evaluate" -- in messages

local check = options_of(WHERE, {
  k = { integer = true, least = 1 },
  patience = { default = 0.8, above = 0, below = 1 },
  n_jobs = { any = true },
  progress = { any = true },
})

local function is_grade(value) return value > 0 end

-- The grades as a matrix in f64, and a matrix of the same entries that are all 1.
local function matrices_of(test)
  local grades = test
  if not lk.sparse.is(test) then
    grades = require("lkrec.data").matrix(test, { values = true, dtype = "f64" })
  elseif test.dtype ~= "f64" then
    local rows, columns, values = test:triplets()
    grades = lk.sparse.csr(rows, columns, values:to "f64", test:size())
  end
  local values = grades:values()
  if #values > 0 and not is_grade(values:min()) then
    for i = 1, #values do
      if not is_grade(values[i]) then fail(WHERE, "rating %d has value %s; expected one above 0", i, values[i]) end
    end
  end
  local ones = lk.sparse.stack { grades } -- copies it
  ones:values():fill(1)
  return grades, ones
end

-- The weights of the places of a list, from the first to the k-th: a vector for each kind of metric.
local function weights_of(k, patience)
  local weights = {
    discount = lk.tensor.zeros { k }, inverse = lk.tensor.zeros { k }, patience = lk.tensor.zeros { k },
    ideal = lk.tensor.zeros { k }, -- sums of the discounts up to each place
    up_to = lk.tensor.zeros { k, k }, -- column j has a 1 for each place up to j
  }
  local sum = 0.0
  for rank = 1, k do
    local discount = 1 / math.max(math.log(rank, 2), 1.0)
    sum = sum + discount
    weights.discount:set(rank, discount)
    weights.ideal:set(rank, sum)
    weights.inverse:set(rank, 1 / rank)
    weights.patience:set(rank, (1 - patience) * patience ^ (rank - 1))
    weights.up_to:narrow(1, 1, rank):select(2, rank):fill(1)
  end
  return weights
end

-- All metrics of some lists. items [lists, n]; counts: how many items are relevant to each user; reachable: how
-- many of these fit into the k places of a list.
local function measure(shared, users, items, counts, reachable)
  local weights, k, n = shared.weights, shared.k, items:size(2)
  local grades = shared.grades:index(users)
  local hits, gains = shared.ones:index(users):gather(items), grades:gather(items)
  local best = grades:topk(math.min(k, grades:size(2)))
  local discount, inverse = weights.discount:narrow(1, 1, n), weights.inverse:narrow(1, 1, n)
  local found = hits:sum(2)
  local before = hits:mm(weights.up_to:narrow(1, 1, n):narrow(2, 1, n)) -- hits up to each place
  return {
    ndcg = hits:mv(discount):div(weights.ideal:index(reachable)),
    graded_ndcg = gains:mv(discount):div(best:mv(weights.discount:narrow(1, 1, best:size(2)))),
    recall = found / counts,
    precision = found / k,
    hit_rate = hits:max(2),
    reciprocal_rank = (hits * inverse:view(1, n):expand(hits:size())):max(2),
    average_precision = before:mul(hits):mv(inverse):div(reachable:to "f64"),
    rbp = hits:mv(weights.patience:narrow(1, 1, n)),
  }
end

-- The operation: evaluates a block of lists.
local function measure_block(shared, block)
  local first, count = block[1], block[2] - block[1] + 1
  local function part(tensor) return tensor:narrow(1, first, count) end
  local measured = measure(shared, part(shared.users), shared.items:index(part(shared.places)),
    part(shared.counts), part(shared.reachable))
  for m, name in ipairs(names) do part(shared.values:select(1, m)):copy(measured[name]) end
end

-- Those lists to whose user an item is relevant: their places, their users, how many items are relevant, and how
-- many of these fit into the k places of a list.
local function evaluable(users, ones, k)
  local relevant = ones:mv(lk.tensor.ones { ones:size(2) })
  local places, kept, counts, reachable = {}, {}, {}, {}
  for i = 1, #users do
    local user = users[i]
    if user < 0 or user > #relevant then
      fail(WHERE, "list %d is for user %d; expected one of the %d of the test", i, user, #relevant)
    end
    local count = user > 0 and relevant[user] or 0 -- 0: an id that the model did not know
    if count > 0 then
      local at = #places + 1
      places[at], kept[at], counts[at], reachable[at] = i, user, count, math.min(math.tointeger(count), k)
    end
  end
  return lk.tensor.from(places, "i64"), lk.tensor.from(kept, "i64"), lk.tensor.from(counts),
    lk.tensor.from(reachable, "i64")
end

-- See lkrec.metrics.evaluate.
---@param recommendations lkrec.Recommendations
---@param test lkrec.Ratings|lkrun.Sparse
---@param options? lkrec.EvaluateOptions
---@return lkrec.Evaluation
local function evaluate(recommendations, test, options)
  options = check(options)
  local items = recommendations.items
  local k = options.k or math.max(items:size(2), 1)
  local shared = { k = k, weights = weights_of(k, options.patience) }
  shared.items = items:narrow(2, 1, math.min(k, items:size(2)))
  shared.grades, shared.ones = matrices_of(test)
  shared.places, shared.users, shared.counts, shared.reachable = evaluable(recommendations.users, shared.ones, k)
  local lists = #shared.users
  shared.values = lk.tensor.zeros { #names, lists }

  if lists > 0 and shared.items:size(2) > 0 then
    local bar <close> = options.progress == true and lk.invoke_progress {
      label = "evaluate", total = lists, unit = "lists",
    } or nil
    local progress = bar or options.progress
    local size = math.max(BLOCK_ELEMENTS // k, 1)
    local blocks = lk.WorkChunks(lists, size, -(-lists // size))
    local how = { n_jobs = options.n_jobs, writable = { shared.values } }
    for i in lk.map(shared, measure_block, blocks, how) do
      if progress then progress:update(blocks[i][2] - blocks[i][1] + 1) end
    end
  end
  local result = { means = {}, lists = {}, users = shared.users, skipped = #recommendations.users - lists }
  for m, name in ipairs(names) do
    result.lists[name] = shared.values:select(1, m)
    result.means[name] = lists > 0 and result.lists[name]:mean() or 0 / 0
  end
  return result
end

return evaluate
